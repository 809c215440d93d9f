using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NablaGen.Memory;

/// <summary>Bytes of a model's weights in memory.</summary>
/// <param name="TextEncoder">All of the text encoder.</param>
/// <param name="Dit">The transformer outside its blocks.</param>
/// <param name="Block">One block of the transformer.</param>
/// <param name="Vae">All of the VAE.</param>
public sealed record WeightSizes(long TextEncoder, long Dit, long Block, long Vae)
{
    /// <summary>Sizes by shapes alone: nothing is allocated.</summary>
    /// <param name="dit">The transformer.</param>
    /// <param name="text">The text encoder.</param>
    /// <param name="vae">The VAE.</param>
    /// <param name="dtype">The type of the large matrix products; what stays float32 is counted so.</param>
    /// <param name="vaeDtype">The VAE's type.</param>
    public static WeightSizes Of(DitConfig dit, TextEncoderConfig text, VaeConfig vae, ScalarType dtype, ScalarType vaeDtype)
    {
        var options = new ModuleOptions(META, dtype);
        using var oneBlock = new WanModel(dit with { NumLayers = 1 }, options);
        using var encoder = new T5Encoder(text, options);
        using var decoder = new WanVae(vae, options with { Dtype = vaeDtype });
        var parts = oneBlock.named_parameters().ToLookup(pair => pair.name.StartsWith("blocks.", StringComparison.Ordinal), pair => pair.parameter);
        return new WeightSizes(Bytes(encoder.parameters()), Bytes(parts[false]), Bytes(parts[true]), Bytes(decoder.parameters()));
    }

    /// <summary>Sizes of a model folder's models.</summary>
    /// <inheritdoc cref="Of(DitConfig, TextEncoderConfig, VaeConfig, ScalarType, ScalarType)"/>
    public static WeightSizes Of(ModelFolder folder, ScalarType dtype, ScalarType vaeDtype) =>
        Of(folder.DitConfig, folder.TextEncoderConfig, folder.VaeConfig, dtype, vaeDtype);

    private static long Bytes(IEnumerable<Parameter> parameters) => parameters.Sum(parameter => parameter.NumberOfElements * parameter.element_size());
}
