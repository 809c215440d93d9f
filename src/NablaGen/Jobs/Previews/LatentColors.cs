using System.Text.Json;
using NablaGen.Cuda.Compilation;
using NablaGen.Files;
using NablaGen.Models;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Previews;

/// <summary>
/// A linear map from latents to colours, a latent pixel a pixel: what the VAE would decode, roughly, at no cost. A model may bring its own, fitted
/// to clips, with another for the latent frames after the first (<see cref="LatentColorMap"/>). Else it is fitted to the VAE
/// at hand by least squares, on flat colours and soft random pictures that its encoder turns into latents.
/// </summary>
public sealed class LatentColors
{
    private const double Ridge = 1e-4;
    private const int Flat = 64;
    private const int Soft = 128;

    // By colour: a factor for each latent channel, then the constant.
    private readonly double[][] _factors, _later;

    private LatentColors(double[][] factors, double[][]? later = null) => (_factors, _later) = (factors, later ?? factors);

    /// <summary>The colours that a model brings.</summary>
    public static LatentColors Of(LatentColorMap map) => new(Rows(map.First), Rows(map.Later));

    /// <summary>The map of a model's VAE: the model's own, or from the user's cache, or fitted now (seconds) and put there.</summary>
    /// <param name="model">The model.</param>
    /// <param name="device">Where to fit it.</param>
    /// <param name="cache">The folder of maps fitted before; null for the user's.</param>
    /// <exception cref="NablaGenException">The VAE cannot be read.</exception>
    public static LatentColors Of(VideoModel model, Device device, string? cache = null)
    {
        var hash = model.ComputeVaeHash();
        if (model.PreviewColors is { } own && own.Vae == hash)
        {
            return Of(own);
        }

        var cached = Path.Combine(cache ?? UserCache.Folder("previews"), hash + ".json");
        if (Read(cached, model.Latents.Channels) is { } known)
        {
            return known;
        }

        using var vae = model.LoadVae(new ModuleOptions(device, ScalarType.Float32));
        var colors = Fit(vae, model.Latents, device);
        try
        {
            OutputFile.Write(cached, file => JsonSerializer.Serialize(file, colors._factors));
        }
        catch (NablaGenException)
        {
            // A cache that cannot be written costs the next run a few seconds.
        }

        return colors;
    }

    /// <summary>Fits the map to a VAE.</summary>
    /// <param name="vae">A VAE with its weights, in float32.</param>
    /// <param name="latents">Its latents.</param>
    /// <param name="device">Where it is.</param>
    public static LatentColors Fit(IVideoAutoencoder vae, LatentTraits latents, Device device)
    {
        using var noGrad = no_grad();
        return Fit(video => vae.Encode(video.to(device)), latents);
    }

    /// <summary>Fits the map to an encoder: [B, 3, T, H, W] → [B, C, T', h, w].</summary>
    internal static LatentColors Fit(Func<Tensor, Tensor> encode, LatentTraits traits)
    {
        using var scope = NewDisposeScope();
        // Soft pictures stand still for a second latent frame: later frames are encoded in another way than the first.
        var (flatX, flatY) = Samples(encode, FlatColors(), traits);
        var (softX, softY) = Samples(encode, SoftPictures(traits.TemporalStride + 1), traits);
        // Both kinds count alike.
        var weight = Math.Sqrt((double)softX.shape[0] / flatX.shape[0]);
        var (x, y) = (cat([flatX.Times(weight), softX]), cat([flatY.Times(weight), softY]));
        var normal = x.t().matmul(x).Plus(eye(x.shape[1], dtype: ScalarType.Float64).Times(Ridge * x.shape[0]));
        var factors = linalg.solve(normal, x.t().matmul(y)).t().contiguous().data<double>().ToArray();
        return new LatentColors([.. factors.Chunk(factors.Length / 3)]);
    }

    /// <summary>Latents → colours.</summary>
    /// <param name="latents">[C, T', h, w]</param>
    /// <returns>Red, green, blue, about in [−1, 1], on the same device. [3, T', h, w]</returns>
    public Tensor ToRgb(Tensor latents)
    {
        using var scope = NewDisposeScope();
        var later = latents.shape[1] - 1;
        return cat([ToRgb(_factors, latents.narrow(1, 0, 1)), ToRgb(_later, latents.narrow(1, 1, later))], 1).MoveToOuterDisposeScope();
    }

    private static Tensor ToRgb(double[][] rows, Tensor latents)
    {
        using var scope = NewDisposeScope();
        var factors = stack(rows.Select(row => tensor(row))).to(ScalarType.Float32).to(latents.device);
        var channels = latents.shape[0];
        var rgb = factors.narrow(1, 0, channels).matmul(latents.to(ScalarType.Float32).flatten(1)).Plus(factors.narrow(1, channels, 1));
        return rgb.reshape([3, .. latents.shape[1..]]).MoveToOuterDisposeScope();
    }

    private static double[][] Rows(IReadOnlyList<float> factors) =>
        [.. factors.Select(factor => (double)factor).Chunk(factors.Count / 3)];

    // Latent pixels with a 1 behind them [n, ZDim + 1], and the colours they came from [n, 3], in float64 on the CPU.
    private static (Tensor Latents, Tensor Colors) Samples(Func<Tensor, Tensor> encode, Tensor video, LatentTraits traits)
    {
        using var scope = NewDisposeScope();
        var latents = encode(video).cpu().to(ScalarType.Float64);
        var colors = nn.functional.avg_pool2d(video.narrow(2, 0, 1).squeeze(2), traits.SpatialStride).unsqueeze(2).expand(-1, -1, latents.shape[2], -1, -1);
        var x = latents.permute(0, 2, 3, 4, 1).reshape(-1, latents.shape[1]);
        var y = colors.permute(0, 2, 3, 4, 1).reshape(-1, 3).to(ScalarType.Float64);
        return (cat([x, ones(x.shape[0], 1, dtype: ScalarType.Float64)], 1).MoveToOuterDisposeScope(), y.MoveToOuterDisposeScope());
    }

    // Every mixture of none, half and all of red, green and blue. [27, 3, 1, Flat, Flat]
    private static Tensor FlatColors()
    {
        using var scope = NewDisposeScope();
        float[] levels = [-1, 0, 1];
        var colors = (from r in levels from g in levels from b in levels select new[] { r, g, b }).SelectMany(color => color).ToArray();
        return tensor(colors, [27, 3, 1, 1, 1]).expand(-1, -1, -1, Flat, Flat).contiguous().MoveToOuterDisposeScope();
    }

    // Coarse and fine random colours, blended. [2, 3, frames, Soft, Soft]
    private static Tensor SoftPictures(int frames)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        Tensor Layer(int cells) => nn.functional.interpolate(
            randn([2, 3, cells, cells], dtype: ScalarType.Float32, generator: generator), [Soft, Soft], mode: InterpolationMode.Bilinear, align_corners: false);

        return Layer(4).Times(0.6).Plus(Layer(16).Times(0.3)).Clamped(-1, 1).unsqueeze(2).expand(-1, -1, frames, -1, -1).contiguous().MoveToOuterDisposeScope();
    }

    private static LatentColors? Read(string path, int channels)
    {
        try
        {
            return File.Exists(path) && JsonSerializer.Deserialize<double[][]>(File.ReadAllText(path)) is { Length: 3 } factors
                && factors.All(row => row?.Length == channels + 1 && row.All(double.IsFinite))
                ? new LatentColors(factors)
                : null;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
