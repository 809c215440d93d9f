using NablaGen.Tensors.Layers;
using NablaGen.Tensors.Matrices;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NablaGen.Tensors;

/// <summary>What a checkpoint loader needs to know of a module.</summary>
public static class ModuleExtensions
{
    private const string Weight = "weight";

    /// <summary>Name → shape of every tensor that a checkpoint has for the module, whatever its matrices are in. Works for modules on the meta device.</summary>
    public static IReadOnlyDictionary<string, long[]> Shapes(this nn.Module module)
    {
        var shapes = module.PlainParameters().ToDictionary(pair => pair.Name, pair => pair.Parameter.shape, StringComparer.Ordinal);
        foreach (var (name, matrix) in module.Matrices())
        {
            shapes.Add(name, [matrix.Outputs, matrix.Inputs]);
        }

        return shapes;
    }

    /// <summary>The matrices of the module's linear layers, by the name that a checkpoint has for them.</summary>
    public static IEnumerable<(string Name, IMatrix Matrix)> Matrices(this nn.Module module) =>
        module.Linears().Select(pair => (Join(pair.Name, Weight), pair.Layer.Matrix));

    /// <summary>The parameters that are not a matrix's.</summary>
    public static IEnumerable<(string Name, Parameter Parameter)> PlainParameters(this nn.Module module)
    {
        var owned = module.Linears().SelectMany(pair => pair.Layer.Matrix.Parameters.Select(parameter => Join(pair.Name, parameter.Name))).ToHashSet(StringComparer.Ordinal);
        return module.named_parameters().Where(pair => !owned.Contains(pair.name)).Select(pair => (pair.name, pair.parameter));
    }

    private static IEnumerable<(string Name, AutocastLinear Layer)> Linears(this nn.Module module)
    {
        if (module is AutocastLinear own)
        {
            yield return ("", own);
        }

        foreach (var (name, child) in module.named_modules())
        {
            if (child is AutocastLinear layer && !ReferenceEquals(child, module))
            {
                yield return (name, layer);
            }
        }
    }

    private static string Join(string layer, string name) => layer.Length == 0 ? name : $"{layer}.{name}";
}
