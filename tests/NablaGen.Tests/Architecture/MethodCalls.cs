using System.Reflection;
using System.Reflection.Metadata;

namespace NablaGen.Tests.Architecture;

/// <summary>Which methods a method's own instructions call, overloads told apart.</summary>
internal static unsafe class MethodCalls
{
    private const BindingFlags Own = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly;

    /// <summary>All methods and constructors of an assembly, those that the compiler made included.</summary>
    public static IEnumerable<MethodBase> MethodsOf(Assembly assembly) => assembly.GetTypes()
        .SelectMany(type => type.GetMethods(Own).Cast<MethodBase>().Concat(type.GetConstructors(Own)));

    /// <summary>The methods that a method calls, or takes the address of; generic ones as their definitions.</summary>
    public static IReadOnlyList<MethodBase> Of(MethodBase method)
    {
        if (method.GetMethodBody()?.GetILAsByteArray() is not { Length: > 0 } code)
        {
            return [];
        }

        var typeArguments = method.DeclaringType is { IsGenericType: true } type ? type.GetGenericArguments() : null;
        var methodArguments = method.IsGenericMethod ? method.GetGenericArguments() : null;
        fixed (byte* start = code)
        {
            return [.. Instructions.Tokens(new BlobReader(start, code.Length)).Select(Resolve).OfType<MethodBase>()];
        }

        MethodBase? Resolve(int token)
        {
            // A signature's token (calli) names no member.
            const int Signatures = 0x11;
            var called = token >> 24 == Signatures ? null : method.Module.ResolveMember(token, typeArguments, methodArguments) as MethodBase;
            return called is MethodInfo { IsGenericMethod: true } generic ? generic.GetGenericMethodDefinition() : called;
        }
    }

    /// <summary>The type and member that a method was written in, for a message.</summary>
    public static string NameOf(MethodBase method)
    {
        var type = method.DeclaringType!;
        return $"{type.FullName!.Replace('+', '.')}.{method.Name}({string.Join(", ", method.GetParameters().Select(parameter => parameter.ParameterType.Name))})";
    }
}
