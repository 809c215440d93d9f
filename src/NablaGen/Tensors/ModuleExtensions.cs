using static TorchSharp.torch;

namespace NablaGen.Tensors;

/// <summary>What a checkpoint loader needs to know of a module.</summary>
public static class ModuleExtensions
{
    /// <summary>Name → shape of every parameter. Works for modules on the meta device.</summary>
    public static IReadOnlyDictionary<string, long[]> Shapes(this nn.Module module) =>
        module.named_parameters().ToDictionary(pair => pair.name, pair => pair.parameter.shape, StringComparer.Ordinal);
}
