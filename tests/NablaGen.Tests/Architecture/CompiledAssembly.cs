using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

namespace NablaGen.Tests.Architecture;

/// <summary>What the code of a compiled assembly refers to: in signatures, attributes and method bodies.</summary>
internal static class CompiledAssembly
{
    /// <summary>
    /// All references of an assembly's types, each once. What the compiler makes of a lambda or an async method counts as part of the type and
    /// member that it was written in.
    /// </summary>
    /// <param name="assembly">An assembly that lies on disk.</param>
    public static IReadOnlyCollection<CodeReference> References(Assembly assembly)
    {
        using var stream = File.OpenRead(assembly.Location);
        using var file = new PEReader(stream);
        var metadata = file.GetMetadataReader();
        var found = new HashSet<CodeReference>();
        foreach (var handle in metadata.TypeDefinitions)
        {
            new TypeScan(file, metadata, found).Read(handle);
        }

        return found;
    }

    /// <summary>Reads one type's references.</summary>
    private sealed class TypeScan(PEReader file, MetadataReader metadata, HashSet<CodeReference> found)
    {
        private string _type = "";
        private string _member = "";

        public void Read(TypeDefinitionHandle handle)
        {
            var names = new TypeNames(metadata, (assembly, type) => Add(assembly, type, null));
            var definition = metadata.GetTypeDefinition(handle);
            _type = names.Outermost(handle);
            var nested = metadata.GetString(definition.Name);
            _member = WrittenName(nested) ?? "";
            var ofGenerated = _member;

            Entity(definition.BaseType, names);
            foreach (var implementation in definition.GetInterfaceImplementations())
            {
                Entity(metadata.GetInterfaceImplementation(implementation).Interface, names);
            }

            Attributes(definition.GetCustomAttributes(), names);
            Constraints(definition.GetGenericParameters(), names);
            foreach (var fieldHandle in definition.GetFields())
            {
                var field = metadata.GetFieldDefinition(fieldHandle);
                _member = Written(ofGenerated, metadata.GetString(field.Name));
                field.DecodeSignature(names, null);
                Attributes(field.GetCustomAttributes(), names);
            }

            foreach (var propertyHandle in definition.GetProperties())
            {
                var property = metadata.GetPropertyDefinition(propertyHandle);
                _member = Written(ofGenerated, metadata.GetString(property.Name));
                Attributes(property.GetCustomAttributes(), names);
            }

            foreach (var methodHandle in definition.GetMethods())
            {
                var method = metadata.GetMethodDefinition(methodHandle);
                _member = Written(ofGenerated, metadata.GetString(method.Name));
                method.DecodeSignature(names, null);
                Attributes(method.GetCustomAttributes(), names);
                Constraints(method.GetGenericParameters(), names);
                if (method.RelativeVirtualAddress != 0)
                {
                    Body(file.GetMethodBody(method.RelativeVirtualAddress), names);
                }
            }
        }

        private void Body(MethodBodyBlock body, TypeNames names)
        {
            if (!body.LocalSignature.IsNil)
            {
                metadata.GetStandaloneSignature(body.LocalSignature).DecodeLocalSignature(names, null);
            }

            foreach (var region in body.ExceptionRegions.Where(region => region.Kind == ExceptionRegionKind.Catch))
            {
                Entity(region.CatchType, names);
            }

            foreach (var token in Instructions.Tokens(body.GetILReader()))
            {
                Entity(MetadataTokens.EntityHandle(token), names);
            }
        }

        private void Attributes(CustomAttributeHandleCollection attributes, TypeNames names)
        {
            foreach (var attribute in attributes)
            {
                Entity(metadata.GetCustomAttribute(attribute).Constructor, names);
            }
        }

        private void Constraints(GenericParameterHandleCollection parameters, TypeNames names)
        {
            foreach (var constraint in parameters.SelectMany(parameter => metadata.GetGenericParameter(parameter).GetConstraints()))
            {
                Entity(metadata.GetGenericParameterConstraint(constraint).Type, names);
            }
        }

        private void Entity(EntityHandle handle, TypeNames names)
        {
            if (handle.IsNil)
            {
                return;
            }

            switch (handle.Kind)
            {
                case HandleKind.TypeDefinition or HandleKind.TypeReference:
                    names.Report(handle);
                    break;
                case HandleKind.TypeSpecification:
                    metadata.GetTypeSpecification((TypeSpecificationHandle)handle).DecodeSignature(names, null);
                    break;
                case HandleKind.MethodDefinition:
                    var method = metadata.GetMethodDefinition((MethodDefinitionHandle)handle);
                    Member(method.GetDeclaringType(), metadata.GetString(method.Name), names);
                    break;
                case HandleKind.FieldDefinition:
                    var field = metadata.GetFieldDefinition((FieldDefinitionHandle)handle);
                    Member(field.GetDeclaringType(), metadata.GetString(field.Name), names);
                    break;
                case HandleKind.MethodSpecification:
                    var specification = metadata.GetMethodSpecification((MethodSpecificationHandle)handle);
                    specification.DecodeSignature(names, null);
                    Entity(specification.Method, names);
                    break;
                case HandleKind.MemberReference:
                    var member = metadata.GetMemberReference((MemberReferenceHandle)handle);
                    Member(member.Parent, metadata.GetString(member.Name), names);
                    if (member.GetKind() == MemberReferenceKind.Method)
                    {
                        member.DecodeMethodSignature(names, null);
                    }
                    else
                    {
                        member.DecodeFieldSignature(names, null);
                    }

                    break;
                case HandleKind.StandaloneSignature:
                    metadata.GetStandaloneSignature((StandaloneSignatureHandle)handle).DecodeMethodSignature(names, null);
                    break;
            }
        }

        private void Member(EntityHandle declaring, string name, TypeNames names)
        {
            if (declaring.Kind is HandleKind.TypeDefinition or HandleKind.TypeReference)
            {
                var (assembly, type) = names.Of(declaring);
                Add(assembly, type, name);
            }
            else
            {
                Entity(declaring, names);
            }
        }

        private void Add(string assembly, string type, string? member) => found.Add(new CodeReference(_type, _member, assembly, type, member));

        private static string Written(string ofGenerated, string name) =>
            ofGenerated.Length > 0 ? ofGenerated : WrittenName(name) ?? name;

        // <Decode>b__3 and <Decode>d__5 stem from Decode; <>c and <>c__DisplayClass7_0 from the type alone.
        private static string? WrittenName(string name) =>
            name.StartsWith('<') && name.IndexOf('>', StringComparison.Ordinal) is > 1 and var end ? name[1..end] : null;
    }
}
