using NablaGen.Files;
using NablaGen.Models.Wan.Dit;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Training.Models;

/// <summary>
/// Begins a transformer with the weights of another, which may have fewer latent channels: those are the first of the new ones. At first
/// the others are not looked at, and their velocity is 0.
/// </summary>
public static class DitWidening
{
    /// <summary>Gives a transformer the weights of a folder's.</summary>
    /// <param name="folder">The model folder.</param>
    /// <param name="model">The transformer, with as many latent channels or more.</param>
    /// <exception cref="InvalidRequestException">They differ in more than latent channels, or the folder's has more.</exception>
    /// <exception cref="NablaGenException">The file is missing or bad.</exception>
    public static void Read(string folder, WanModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var file = SafetensorsFile.Open(ModelFiles.Dit(folder));
        var parameters = model.named_parameters().ToList();
        if (file.Entries.Count != parameters.Count)
        {
            throw Unfit($"it has {file.Entries.Count} tensors, expected {parameters.Count}");
        }

        foreach (var (name, parameter) in parameters)
        {
            var known = file.Read(name).to_type(ScalarType.Float32);
            parameter.copy_(known.shape.SequenceEqual(parameter.shape) ? known : Widened(name, known, parameter.shape, Patch(model.Config)));
        }

        Tensor Widened(string name, Tensor known, long[] shape, int patch)
        {
            // The embedding's inputs are [channels, patch], the head's outputs [patch, channels].
            var isEmbedding = name == "patch_embedding.weight";
            var (axis, parts) = isEmbedding ? (1, 1) : (0, patch);
            var fits = (isEmbedding || name.StartsWith("head.head.", StringComparison.Ordinal)) && known.shape[axis] <= shape[axis]
                && known.shape.Length == shape.Length && known.shape.Where((_, i) => i != axis).SequenceEqual(shape.Where((_, i) => i != axis));
            return fits
                ? zeros(shape).index_copy(axis, ChannelPlaces.Of(known.shape[axis], shape[axis], parts), known)
                : throw Unfit($"{name} is {Line.Shape(known.shape)}, expected {Line.Shape(shape)}");
        }

        InvalidRequestException Unfit(string why) =>
            new($"the transformer in {folder} cannot begin this one, which may differ from it in having more latent channels alone: {why}");
    }

    private static int Patch(DitConfig config) => config.PatchSize.Time * config.PatchSize.Height * config.PatchSize.Width;
}
