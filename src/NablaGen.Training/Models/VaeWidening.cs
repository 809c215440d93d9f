using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Training.Models;

/// <summary>
/// Begins a VAE with the weights of a narrower one of the same build, so that it need not learn again what that one knows. The narrower
/// one's channels are the first of each layer; what they do with one another stays, nothing of the new channels reaches them at first, and
/// the new ones begin as weakly drawn weights, which the training then finds a use for. Only the norms' lengths change a little.
/// </summary>
public static class VaeWidening
{
    // New channels begin weak: they share a norm with the old ones.
    private const double Strength = 0.25;

    /// <summary>Gives a VAE drawn weights and, within them, a narrower one's.</summary>
    /// <param name="folder">The model folder with the narrower one.</param>
    /// <param name="from">Its sizes.</param>
    /// <param name="vae">The wider one.</param>
    /// <param name="generator">Draws what is new.</param>
    /// <exception cref="InvalidRequestException">They differ in more than width, or the first is wider somewhere.</exception>
    /// <exception cref="NablaGenException">The file is missing or bad.</exception>
    public static void Read(string folder, VaeConfig from, WanVae vae, Generator generator)
    {
        ArgumentNullException.ThrowIfNull(from);
        ArgumentNullException.ThrowIfNull(vae);
        Check(folder, from, vae.Config);
        Initialization.Draw(vae, generator);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var file = SafetensorsFile.Open(ModelFiles.Vae(folder));
        foreach (var (name, parameter) in vae.named_parameters())
        {
            if (!file.Entries.ContainsKey(name))
            {
                // A shortcut that the narrower one did without: what goes in comes out.
                parameter.copy_(name.EndsWith("bias", StringComparison.Ordinal) ? zeros(parameter.shape) : Identity(parameter.shape));
                continue;
            }

            var known = file.Read(name).to_type(ScalarType.Float32);
            parameter.copy_(known.shape.SequenceEqual(parameter.shape) ? known : Widened(name, known, parameter.cpu().to_type(ScalarType.Float32)));
        }
    }

    private static Tensor Widened(string name, Tensor known, Tensor drawn)
    {
        var isNorm = name.EndsWith("gamma", StringComparison.Ordinal);
        if (isNorm)
        {
            // The norm divides by the root mean square: silent channels make it smaller.
            known = known.Times(Math.Sqrt((double)known.shape[0] / drawn.shape[0]));
        }

        var (outputs, inputs) = Parts(name);
        var rows = ChannelPlaces.Of(known.shape[0], drawn.shape[0], outputs);
        if (drawn.dim() == 1 || isNorm)
        {
            return drawn.index_copy(0, rows, known);
        }

        var result = drawn.Times(Strength);
        var columns = ChannelPlaces.Of(known.shape[1], drawn.shape[1], inputs);
        var old = zeros([known.shape[0], .. drawn.shape[1..]]).index_copy(1, columns, known);
        return result.index_copy(0, rows, old);
    }

    // How many equal parts a layer's outputs and inputs have: mean and log-variance; query, key and value; two frames.
    private static (int Outputs, int Inputs) Parts(string name) =>
        name.StartsWith("conv1.", StringComparison.Ordinal) ? (2, 2)
        : name.StartsWith("encoder.head.2.", StringComparison.Ordinal) ? (2, 1)
        : name.StartsWith("decoder.", StringComparison.Ordinal) && name.Contains("time_conv", StringComparison.Ordinal) ? (2, 1)
        : name.Contains("to_qkv", StringComparison.Ordinal) ? (3, 1)
        : (1, 1);

    private static Tensor Identity(long[] shape) => eye(shape[0], shape[1]).reshape(shape);

    private static void Check(string folder, VaeConfig from, VaeConfig to)
    {
        var isNarrower = from.Dim == to.Dim && from.ZDim <= to.ZDim && from.NumResBlocks == to.NumResBlocks
            && from.TemporalDownsample.SequenceEqual(to.TemporalDownsample) && from.DimMult.Count == to.DimMult.Count
            && from.DimMult.Zip(to.DimMult, (narrow, wide) => narrow <= wide).All(fits => fits)
            // Each shortcut of the narrower one, where a level's width changes, must be there in the wider one too.
            && Shortcuts(from).Zip(Shortcuts(to), (narrow, wide) => !narrow || wide).All(fits => fits);
        if (!isNarrower)
        {
            throw new InvalidRequestException($"the VAE in {folder} ({Text(from)}) cannot be widened to {Text(to)}: "
                + "expected the same first width, levels and blocks, and no narrower level or latent");
        }
    }

    // Encoder, then decoder: where a level begins with another width than its own.
    private static IEnumerable<bool> Shortcuts(VaeConfig config)
    {
        var widths = config.DimMult.Select(mult => mult * config.Dim).ToArray();
        return Enumerable.Range(1, widths.Length - 1).Select(i => widths[i] != widths[i - 1])
            .Concat(Enumerable.Range(1, widths.Length - 1).Select(i => widths[i] / 2 != widths[i - 1]));
    }

    private static string Text(VaeConfig config) =>
        $"{config.ZDim} latent channels, levels {string.Join(", ", config.DimMult.Select(mult => mult * config.Dim))}, {config.NumResBlocks} blocks";
}
