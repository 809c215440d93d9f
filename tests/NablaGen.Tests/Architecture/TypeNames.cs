using System.Collections.Immutable;
using System.Reflection.Metadata;

namespace NablaGen.Tests.Architecture;

/// <summary>Reports each type that a signature names, by its assembly and its full name (a nested type's after a plus sign).</summary>
/// <param name="metadata">The assembly's metadata.</param>
/// <param name="report">Is told of each.</param>
internal sealed class TypeNames(MetadataReader metadata, Action<string, string> report) : ISignatureTypeProvider<bool, object?>
{
    private readonly string _assembly = metadata.GetString(metadata.GetAssemblyDefinition().Name);

    /// <summary>The full name of the outermost type around a type, or of itself.</summary>
    public string Outermost(TypeDefinitionHandle handle)
    {
        var around = metadata.GetTypeDefinition(handle).GetDeclaringType();
        return around.IsNil ? Of(handle).Type : Outermost(around);
    }

    /// <summary>The assembly and full name of a definition or reference.</summary>
    public (string Assembly, string Type) Of(EntityHandle handle)
    {
        if (handle.Kind == HandleKind.TypeDefinition)
        {
            var definition = metadata.GetTypeDefinition((TypeDefinitionHandle)handle);
            var around = definition.GetDeclaringType();
            return (_assembly, around.IsNil ? Full(definition.Namespace, definition.Name) : $"{Of(around).Type}+{metadata.GetString(definition.Name)}");
        }

        var reference = metadata.GetTypeReference((TypeReferenceHandle)handle);
        return reference.ResolutionScope.Kind switch
        {
            HandleKind.TypeReference when Of(reference.ResolutionScope) is var (assembly, outer) => (assembly, $"{outer}+{metadata.GetString(reference.Name)}"),
            HandleKind.AssemblyReference => (
                metadata.GetString(metadata.GetAssemblyReference((AssemblyReferenceHandle)reference.ResolutionScope).Name),
                Full(reference.Namespace, reference.Name)),
            _ => (_assembly, Full(reference.Namespace, reference.Name)),
        };
    }

    /// <summary>Reports a definition or reference.</summary>
    public bool Report(EntityHandle handle)
    {
        var (assembly, type) = Of(handle);
        report(assembly, type);
        return true;
    }

    public bool GetTypeFromDefinition(MetadataReader reader, TypeDefinitionHandle handle, byte rawTypeKind) => Report(handle);

    public bool GetTypeFromReference(MetadataReader reader, TypeReferenceHandle handle, byte rawTypeKind) => Report(handle);

    public bool GetTypeFromSpecification(MetadataReader reader, object? genericContext, TypeSpecificationHandle handle, byte rawTypeKind) =>
        reader.GetTypeSpecification(handle).DecodeSignature(this, genericContext);

    public bool GetModifiedType(bool modifier, bool unmodifiedType, bool isRequired) => true;

    public bool GetFunctionPointerType(MethodSignature<bool> signature) => true;

    public bool GetArrayType(bool elementType, ArrayShape shape) => true;

    public bool GetByReferenceType(bool elementType) => true;

    public bool GetGenericInstantiation(bool genericType, ImmutableArray<bool> typeArguments) => true;

    public bool GetGenericMethodParameter(object? genericContext, int index) => true;

    public bool GetGenericTypeParameter(object? genericContext, int index) => true;

    public bool GetPinnedType(bool elementType) => true;

    public bool GetPointerType(bool elementType) => true;

    public bool GetPrimitiveType(PrimitiveTypeCode typeCode) => true;

    public bool GetSZArrayType(bool elementType) => true;

    private string Full(StringHandle space, StringHandle name) =>
        space.IsNil ? metadata.GetString(name) : $"{metadata.GetString(space)}.{metadata.GetString(name)}";
}
