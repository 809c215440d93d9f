using NablaGen.Models.Dit;
using NablaGen.Models.TextEncoder;
using NablaGen.Models.Vae;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NablaGen.Training.Models;

/// <summary>
/// First values of the parameters, drawn on the CPU, so that a seed means the same on every device. Port of WanModel.init_weights
/// (wan/modules/model.py) and init_weights (wan/modules/t5.py); the VAE's convolutions are PyTorch's default.
/// </summary>
public static class Initialization
{
    /// <summary>
    /// Xavier for every product, no biases, a head of zeros (the first velocity is 0). The reference draws the embeddings of text and
    /// time with σ = 0.02, which fits thousands of inputs and is next to nothing for a hundred: they get Xavier's here.
    /// </summary>
    public static void Draw(WanModel model, Generator generator) => Each(model, (name, parameter) =>
    {
        var width = parameter.shape[^1];
        return name == "head.head.weight" ? zeros(parameter.shape)
            : name.EndsWith("modulation", StringComparison.Ordinal) ? Normal(parameter, Math.Pow(width, -0.5), generator)
            : name.EndsWith(".bias", StringComparison.Ordinal) ? zeros(parameter.shape)
            : parameter.dim() == 1 ? ones(parameter.shape)
            : Uniform(parameter, Math.Sqrt(6.0 / (FanIn(parameter) + parameter.shape[0])), generator);
    });

    /// <summary>T5's: normal with the inputs' width; queries carry the 1/√D that its attention leaves out.</summary>
    public static void Draw(T5Encoder encoder, Generator generator)
    {
        var config = encoder.Config;
        Each(encoder, (name, parameter) =>
        {
            double? sigma = name.Split('.') switch
            {
                ["token_embedding", ..] => 1,
                [.., "embedding", "weight"] => Math.Pow(2.0 * config.NumBuckets * config.NumHeads, -0.5),
                [.., "gate", "0", "weight"] or [.., "fc1", "weight"] => Math.Pow(config.Dim, -0.5),
                [.., "fc2", "weight"] => Math.Pow(config.DimFfn, -0.5),
                [.., "q", "weight"] => Math.Pow((double)config.Dim * config.DimAttn, -0.5),
                [.., "k", "weight"] or [.., "v", "weight"] => Math.Pow(config.Dim, -0.5),
                [.., "o", "weight"] => Math.Pow((double)config.NumHeads * config.DimAttn, -0.5),
                _ => null,
            };
            return sigma is { } value ? Normal(parameter, value, generator) : ones(parameter.shape);
        });
    }

    /// <summary>
    /// PyTorch's default for convolutions (uniform to 1/√inputs), except the attention's last, which is zero as in the reference, and the
    /// latents' log-variance, which starts low: noise as strong as the latents would teach the decoder to do without them.
    /// </summary>
    public static void Draw(WanVae vae, Generator generator)
    {
        const float FirstLogVariance = -6;
        var inputs = vae.named_parameters().Where(pair => pair.name.EndsWith(".weight", StringComparison.Ordinal))
            .ToDictionary(pair => pair.name[..^"weight".Length] + "bias", pair => FanIn(pair.parameter));
        Each(vae, (name, parameter) =>
            name.EndsWith(".gamma", StringComparison.Ordinal) ? ones(parameter.shape)
            : name.EndsWith(".proj.weight", StringComparison.Ordinal) ? zeros(parameter.shape)
            : Uniform(parameter, Math.Pow(inputs.TryGetValue(name, out var count) ? count : FanIn(parameter), -0.5), generator));
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        vae.named_parameters().Single(pair => pair.name == "conv1.bias").parameter.narrow(0, vae.Config.ZDim, vae.Config.ZDim).fill_(FirstLogVariance);
    }

    private static void Each(nn.Module module, Func<string, Parameter, Tensor> draw)
    {
        using var noGrad = no_grad();
        foreach (var (name, parameter) in module.named_parameters())
        {
            using var scope = NewDisposeScope();
            parameter.copy_(draw(name, parameter));
        }
    }

    private static long FanIn(Tensor weight) => weight.numel() / weight.shape[0];

    private static Tensor Normal(Tensor like, double sigma, Generator generator) => randn(like.shape, generator: generator) * sigma;

    private static Tensor Uniform(Tensor like, double bound, Generator generator) => (rand(like.shape, generator: generator) * 2 - 1) * bound;
}
