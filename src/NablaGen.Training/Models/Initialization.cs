using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
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
    public static void Draw(T5Encoder encoder, Generator generator) => Draw(encoder, generator, _ => true);

    /// <summary>Whether an encoder's queries have grown so large that its attention sees nothing but words; drawn ones grow by a fifth where they are trained well.</summary>
    public static bool IsBlindToOrder(T5Encoder encoder)
    {
        ArgumentNullException.ThrowIfNull(encoder);
        const double Grown = 4;
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var queries = encoder.named_parameters().Where(item => item.name.EndsWith("attn.q.weight", StringComparison.Ordinal));
        return queries.Average(item => item.parameter.to_type(ScalarType.Float32).Squared().mean().sqrt().item<float>()) > Grown * QuerySigma(encoder.Config);
    }

    /// <summary>Draws what an encoder looks for, queries and position biases, and leaves what it knows of words.</summary>
    public static void DrawOrder(T5Encoder encoder, Generator generator) => Draw(encoder, generator,
        name => name.EndsWith("attn.q.weight", StringComparison.Ordinal) || name.Contains("pos_embedding", StringComparison.Ordinal));

    private static void Draw(T5Encoder encoder, Generator generator, Func<string, bool> isDrawn)
    {
        var config = encoder.Config;
        Each(encoder, (name, parameter) =>
        {
            if (!isDrawn(name))
            {
                return parameter;
            }

            double? sigma = name.Split('.') switch
            {
                ["token_embedding", ..] => 1,
                [.., "embedding", "weight"] => Math.Pow(2.0 * config.NumBuckets * config.NumHeads, -0.5),
                [.., "gate", "0", "weight"] or [.., "fc1", "weight"] => Math.Pow(config.Dim, -0.5),
                [.., "fc2", "weight"] => Math.Pow(config.DimFfn, -0.5),
                [.., "q", "weight"] => QuerySigma(config),
                [.., "k", "weight"] or [.., "v", "weight"] => Math.Pow(config.Dim, -0.5),
                [.., "o", "weight"] => Math.Pow((double)config.NumHeads * config.DimAttn, -0.5),
                _ => null,
            };
            return sigma is { } value ? Normal(parameter, value, generator) : ones(parameter.shape);
        });
    }

    /// <summary>
    /// PyTorch's default for convolutions (uniform to 1/√inputs) where they look for something. Those that only change a size begin as that
    /// alone (halving as a mean, doubling as a copy, other channels as a rotation) and residual branches begin at zero, so that a blurred
    /// picture passes from the first step on: with PyTorch's default everywhere no colour had come through after 500 steps. The latents'
    /// log-variance starts low: noise as strong as the latents would teach the decoder to do without them.
    /// </summary>
    public static void Draw(WanVae vae, Generator generator)
    {
        const float FirstLogVariance = -6;
        var inputs = vae.named_parameters().Where(pair => pair.name.EndsWith(".weight", StringComparison.Ordinal))
            .ToDictionary(pair => pair.name[..^"weight".Length] + "bias", pair => FanIn(pair.parameter));
        Each(vae, (name, parameter) => name.Split('.') switch
        {
            [.., "gamma"] => ones(parameter.shape),
            [.., "proj" or "6", "weight"] => zeros(parameter.shape),
            ["encoder", .., "resample", "1", "weight"] => At(parameter, [[0, 0], [0, 1], [1, 0], [1, 1]], Rotation(parameter, generator)),
            ["decoder", .., "resample", "1", "weight"] => At(parameter, [[1, 1]], Rotation(parameter, generator)),
            ["encoder", .., "time_conv", "weight"] => At(parameter, [[1, 0, 0], [2, 0, 0]], eye(parameter.shape[1])),
            ["decoder", .., "time_conv", "weight"] => At(parameter, [[2, 0, 0]], eye(parameter.shape[1]).repeat(2, 1)),
            [.., "shortcut", "weight"] or ["conv1" or "conv2", "weight"] => At(parameter, [[0, 0, 0]], Rotation(parameter, generator)),
            _ => Uniform(parameter, Math.Pow(inputs.TryGetValue(name, out var count) ? count : FanIn(parameter), -0.5), generator),
        });
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        vae.named_parameters().Single(pair => pair.name == "conv1.bias").parameter.narrow(0, vae.Config.ZDim, vae.Config.ZDim).Fill_(FirstLogVariance);
    }

    private static double QuerySigma(TextEncoderConfig config) => Math.Pow((double)config.Dim * config.DimAttn, -0.5);

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

    // A convolution that does the same, a product of channels, at some of its taps in equal parts. [outputs, inputs, taps...]
    private static Tensor At(Tensor like, long[][] taps, Tensor channels)
    {
        var weight = zeros(like.shape);
        foreach (var tap in taps)
        {
            var at = weight;
            foreach (var index in tap)
            {
                at = at.select(2, index);
            }

            at.copy_(channels.Over(taps.Length));
        }

        return weight;
    }

    // Keeps lengths where there are as many outputs as inputs or more, and on average where there are fewer. [outputs, inputs]
    private static Tensor Rotation(Tensor like, Generator generator)
    {
        var (outputs, inputs) = (like.shape[0], like.shape[1]);
        var (q, _) = linalg.qr(randn([Math.Max(outputs, inputs), Math.Min(outputs, inputs)], generator: generator));
        return outputs >= inputs ? q : q.t().Times(Math.Sqrt((double)inputs / outputs));
    }

    private static Tensor Normal(Tensor like, double sigma, Generator generator) => randn(like.shape, generator: generator).Times(sigma);

    private static Tensor Uniform(Tensor like, double bound, Generator generator) => rand(like.shape, generator: generator).Times(2).Minus(1).Times(bound);
}
