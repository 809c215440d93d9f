using System.Reflection;
using NablaGen.Tensors;
using TorchSharp;

namespace NablaGen.Tests.Architecture;

/// <summary>Numbers on their way into libtorch: TorchSharp's own conversions do not keep them alive (see <see cref="TensorArithmetic"/>).</summary>
public class ScalarTests
{
    // Where TorchSharp converts a number, and what of TorchSharp calls that in turn (`x + y` adds 1 · y).
    private static readonly Lazy<HashSet<MethodBase>> Converting = new(FindConverting);

    // No overload takes the number as an object that could be kept alive, and no other function promises the same bits.
    private static readonly string[] Unavoidable = ["TorchSharp.torch.linalg.vector_norm"];

    [Fact]
    public void Only_the_helper_converts_numbers()
    {
        var found = SourceAssemblies.All
            .SelectMany(MethodCalls.MethodsOf)
            .Where(method => method.DeclaringType != typeof(TensorArithmetic))
            .SelectMany(method => MethodCalls.Of(method)
                .Where(called => (IsConversion(called) || Converting.Value.Contains(called))
                    && !Unavoidable.Any(name => MethodCalls.NameOf(called).StartsWith(name + "(", StringComparison.Ordinal)))
                .Select(called => $"{MethodCalls.NameOf(method)} calls {MethodCalls.NameOf(called)}"))
            .Distinct()
            .Order(StringComparer.Ordinal)
            .ToList();
        Assert.True(found.Count == 0, $"use {nameof(TensorArithmetic)} in place of:\n{string.Join('\n', found)}");
    }

    [Fact]
    public void Operators_with_numbers_and_sums_of_tensors_are_seen()
    {
        var tensor = typeof(torch.Tensor);
        Assert.Contains(tensor.GetMethod("op_Multiply", [tensor, typeof(double)])!, Converting.Value);
        Assert.Contains(tensor.GetMethod("op_Addition", [tensor, tensor])!, Converting.Value);
        Assert.Contains(tensor.GetMethod("square", Type.EmptyTypes)!, Converting.Value);
        Assert.DoesNotContain(tensor.GetMethod("op_Multiply", [tensor, tensor])!, Converting.Value);
        // This test's own code has one, and the scan finds it.
        Assert.Contains(MethodCalls.Of(((Func<torch.Tensor, torch.Tensor>)Halve).Method), called => Converting.Value.Contains(called) || IsConversion(called));
    }

    private static torch.Tensor Halve(torch.Tensor x) => x * 0.5;

    private static HashSet<MethodBase> FindConverting()
    {
        var calls = MethodCalls.MethodsOf(typeof(torch).Assembly)
            .Where(method => method.DeclaringType != typeof(Scalar) && method.DeclaringType != typeof(ScalarExtensionMethods))
            .ToDictionary(method => method, MethodCalls.Of);
        var found = calls.Where(pair => pair.Value.Any(IsConversion)).Select(pair => pair.Key).ToHashSet();
        int before;
        do
        {
            before = found.Count;
            found.UnionWith(calls.Where(pair => pair.Value.Any(found.Contains)).Select(pair => pair.Key).ToList());
        }
        while (found.Count > before);
        return found;
    }

    private static bool IsConversion(MethodBase method) =>
        method.DeclaringType == typeof(ScalarExtensionMethods) || (method.DeclaringType == typeof(Scalar) && method.Name == "op_Implicit");
}
