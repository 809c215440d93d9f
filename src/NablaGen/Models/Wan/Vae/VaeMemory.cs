using System.Runtime.CompilerServices;
using NablaGen.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Vae;

/// <summary>How much memory decoding and encoding will take, by counting their tensors layer by layer.</summary>
public static class VaeMemory
{
    // Past frames that a causal layer with a kernel of 3 keeps.
    private const long Kept = 2;

    // Colours as our own convolution writes them, before three are taken.
    private const long PaddedColours = 32;

    // A plan asks for five tilings, and building a VAE of shapes takes far longer than counting them.
    private static readonly ConditionalWeakTable<VaeConfig, StrongBox<(long All, long Packed)>> Counts = [];

    /// <summary>
    /// The most bytes of tensors at once on the device: weights of the whole VAE, cached frames and the largest layer's inputs and
    /// outputs. Not counted: CUDA's own (about half a GiB), what its allocator holds free, and scratch memory of cuDNN or oneDNN.
    /// </summary>
    /// <param name="config">The VAE's sizes.</param>
    /// <param name="frames">Frames of the video.</param>
    /// <param name="height">Rows of the video.</param>
    /// <param name="width">Columns of the video.</param>
    /// <param name="dtype">The VAE's type.</param>
    /// <param name="tiling">How decoding is divided; null for not at all.</param>
    /// <param name="apart">Whether frames are by themselves, as our own convolution reads them: <see cref="CudaDevices.ConvolvesFramesApart"/>.</param>
    public static long Estimate(VaeConfig config, int frames, int height, int width, ScalarType dtype, VaeTiling? tiling = null, bool apart = false) =>
        Parameters(config).All * dtype.ElementSize() + Work(config, frames, height, width, dtype, tiling, apart);

    /// <summary><see cref="Estimate"/> without the weights.</summary>
    /// <param name="config">The VAE's sizes.</param>
    /// <param name="frames">Frames of the video.</param>
    /// <param name="height">Rows of the video.</param>
    /// <param name="width">Columns of the video.</param>
    /// <param name="dtype">The VAE's type.</param>
    /// <param name="tiling">How decoding is divided; null for not at all.</param>
    /// <param name="apart">Whether frames are by themselves, as our own convolution reads them: <see cref="CudaDevices.ConvolvesFramesApart"/>.</param>
    public static long Work(VaeConfig config, int frames, int height, int width, ScalarType dtype, VaeTiling? tiling = null, bool apart = false)
    {
        tiling ??= VaeTiling.None;
        var (rows, columns) = (height / config.SpatialStride, width / config.SpatialStride);
        var latentFrames = (frames - 1) / config.TemporalStride + 1;
        var tiles = VaeTile.Cut(tiling, rows, columns, config);
        var deepest = (long)config.DecoderWidth * config.DimMult[^1] * rows * columns;
        var deep = Deep(config, (long)rows * columns, apart);
        var rises = tiles.Select(tile => Rise(config, tile, latentFrames > 1, tiling.FramesAtOnce, apart)).ToList();
        var activations = tiles.Count == 1
            ? deep.Cache + rises[0].Cache + Math.Max(deep.Peak, deepest + rises[0].Peak)
            : deepest * latentFrames + Math.Max(deep.Cache + deep.Peak, rises.Max(rise => rise.Cache + rise.Peak));
        return (activations + (apart ? Parameters(config).Packed : 0)) * dtype.ElementSize();
    }

    /// <summary>The same while a video is encoded, chunk by chunk. The video itself is not counted: it may be on another device.</summary>
    /// <param name="config">The VAE's sizes.</param>
    /// <param name="frames">Frames of the video.</param>
    /// <param name="height">Rows of the video.</param>
    /// <param name="width">Columns of the video.</param>
    /// <param name="dtype">The VAE's type.</param>
    /// <param name="tiling">How encoding is divided; null for not at all.</param>
    public static long EstimateEncoding(VaeConfig config, int frames, int height, int width, ScalarType dtype, VaeTiling? tiling = null)
    {
        tiling ??= VaeTiling.None;
        var (rows, columns) = ((long)height / config.SpatialStride, (long)width / config.SpatialStride);
        var tiles = VaeEncodingTile.Cut(tiling, rows, columns, config);
        var source = tiles.MaxBy(tile => tile.Source.Area).Source;
        var down = Descent(config, source.Area, frames > 1 ? config.TemporalStride : 1, tiling.FramesAtOnce);
        var (dim, pixels) = ((long)config.Dim * config.DimMult[^1], rows * columns);
        var middle = Blocks(dim, dim, 2, pixels, 1);
        var finish = Math.Max(middle.Peak, 7 * dim * pixels);
        var latentFrames = (frames - 1) / config.TemporalStride + 1;
        // A chunk as it comes, in float32, then in the VAE's type.
        var chunk = config.Colours * source.Area * (frames > 1 ? config.TemporalStride : 1);
        var activations = tiles.Count == 1
            ? down.Cache + middle.Cache + Math.Max(chunk + down.Peak, finish)
            : dim * pixels * latentFrames + Math.Max(down.Cache + chunk + down.Peak, middle.Cache + finish);
        return (Parameters(config).All + activations) * dtype.ElementSize() + sizeof(float) * chunk;
    }

    // The encoder down to the latents' size; pixels are those of the first level.
    private static Part Descent(VaeConfig config, long pixels, long chunk, int framesAtOnce)
    {
        var (cache, peak, dim, waiting) = (Kept * config.Colours * pixels, 0L, (long)config.Dim, 0L);
        for (var level = 0; level < config.DimMult.Count; level++)
        {
            long outputs = config.Dim * config.DimMult[level];
            // The first level may take fewer frames at a time, whose results wait for one another.
            var piece = level < VaeChunks.TopLevels(config) ? Math.Min(chunk, framesAtOnce) : chunk;
            waiting = piece < chunk ? 2 * outputs * (pixels / 4) * chunk : 0;
            var blocks = Blocks(dim, outputs, config.NumResBlocks, pixels, piece);
            // A level's shortcut holds its input to the end.
            var held = config.HasLevelShortcuts ? 2 * dim * pixels * piece : 0;
            cache += blocks.Cache;
            peak = Math.Max(peak, waiting + held + Math.Max(blocks.Peak, 3 * outputs * pixels * piece));
            (dim, pixels) = level < config.DimMult.Count - 1 ? (outputs, pixels / 4) : (outputs, pixels);
            chunk = level < config.TemporalDownsample.Count && config.TemporalDownsample[level] ? Math.Max(1, chunk / 2) : chunk;
        }

        return new Part(cache, peak);
    }

    // Weights, and those of the decoder as our own convolution reads them beside them: sums for four places each where height and width are doubled.
    private static (long All, long Packed) Parameters(VaeConfig config) => Counts.GetValue(config, key =>
    {
        using var model = new WanVae(key, ModuleOptions.Meta);
        var shapes = model.Shapes();
        static long Size(long[] shape) => shape.Aggregate(1L, (product, side) => product * side);
        var decoder = shapes.Where(shape => shape.Key.StartsWith("decoder.", StringComparison.Ordinal)).Select(shape => shape.Value).ToList();
        var doubling = decoder.Where(shape => shape.Length == 4 && shape[^1] == 3).Sum(Size) * 16 / 9;
        var packed = doubling + decoder.Where(shape => shape.Length == 5 && shape[1] % 32 == 0).Sum(Size);
        return new((shapes.Values.Sum(Size), packed));
    }).Value;

    // All counts are of elements; pixels are those of a frame.
    private static Part Deep(VaeConfig config, long pixels, bool apart)
    {
        long dim = config.DecoderWidth * config.DimMult[^1];
        var middle = Blocks(dim, dim, 2, pixels, 1, apart);
        // The attention's input and its norm, queries, keys and values together, its output and the projection.
        var attention = 7 * dim * pixels;
        var level = config.HasLevelShortcuts ? default : Blocks(dim, dim, config.NumResBlocks + 1, pixels, 1, apart);
        return new Part(
            Kept * config.ZDim * pixels + middle.Cache + level.Cache,
            Math.Max(attention, Math.Max(middle.Peak, level.Peak)));
    }

    // Wan2.2's levels: residual blocks, then the up-sampling beside the shortcut, whose input lives as long.
    private static Part RiseWithShortcuts(VaeConfig config, VaeTile tile, bool moves, int framesAtOnce, bool apart)
    {
        var (cache, peak, frames) = (0L, 0L, 1L);
        long dim = config.DecoderWidth * config.DimMult[^1];
        for (var level = config.DimMult.Count - 1; level >= 0; level--)
        {
            var at = config.DimMult.Count - 1 - level;
            var (entry, exit) = at == 0 ? (tile.Inner, tile.Start) : (tile.Entries[at - 1], tile.Exits[at - 1]);
            long outputs = config.DecoderWidth * config.DimMult[level];
            var piece = level == 0 ? Math.Min(frames, framesAtOnce) : frames;
            var blocks = Blocks(dim, outputs, config.NumResBlocks + 1, entry.Area, piece, apart);
            cache += blocks.Cache;
            var input = dim * entry.Area * frames;
            peak = Math.Max(peak, input + blocks.Peak);
            if (level > 0)
            {
                var doubles = config.TemporalDownsample[level - 1] && moves;
                var up = Upsample(outputs, exit.Area, tile.Entries[at].Area, frames, doubles, outputs, apart);
                frames = doubles ? 2 * frames : frames;
                // The shortcut is repeated once into channels and once into place.
                var shortcut = 2 * outputs * 4 * exit.Area * frames;
                cache += up.Cache;
                peak = Math.Max(peak, input + outputs * exit.Area * frames + up.Peak + shortcut);
            }
            else
            {
                cache += Kept * outputs * exit.Area;
                peak = Math.Max(peak, input + Output(outputs, exit.Area, piece, apart));
            }

            dim = outputs;
        }

        return new Part(cache, peak);
    }

    private static Part Rise(VaeConfig config, VaeTile tile, bool moves, int framesAtOnce, bool apart)
    {
        if (config.HasLevelShortcuts)
        {
            return RiseWithShortcuts(config, tile, moves, framesAtOnce, apart);
        }

        var (cache, peak) = (0L, 0L);
        var (frames, covered, waiting) = (1L, tile.Start, 0L);
        long dim = config.Dim * config.DimMult[^1];
        for (var level = config.DimMult.Count - 2; level >= 0; level--)
        {
            var at = config.DimMult.Count - 2 - level;
            var (entry, exit, split) = (tile.Entries[at], tile.Exits[at], VaeDecoder.SplitLevel(config));
            var (input, outputs) = (dim * covered.Area, (long)config.Dim * config.DimMult[level]);
            if (config.TemporalDownsample[level] && moves)
            {
                cache += Kept * input;
                peak = Math.Max(peak, input * frames + InTime(input, frames, apart));
                frames *= 2;
            }

            // From there on a few frames are taken at a time, and their input waits whole.
            waiting = at == split ? input * frames : waiting;
            var piece = at >= split ? Math.Min(frames, framesAtOnce) : frames;
            var held = at == split ? waiting : waiting + input * piece;
            var blocks = Blocks(dim / 2, outputs, config.NumResBlocks + 1, entry.Area, piece, apart);
            var (up, cropped) = (InSpace(dim, covered.Area, piece, dim / 2, apart), entry == exit ? 0 : outputs * piece * (entry.Area + exit.Area));
            var entered = entry.Area == 4 * covered.Area ? 0 : dim / 2 * piece * (4 * covered.Area + entry.Area);
            cache += blocks.Cache;
            peak = Math.Max(peak, Math.Max(held + up, waiting + Math.Max(entered, Math.Max(blocks.Peak, cropped))));
            (dim, covered) = (outputs, exit);
            if (level == 0)
            {
                cache += Kept * outputs * exit.Area;
                peak = Math.Max(peak, waiting + Output(outputs, exit.Area, piece, apart));
            }
        }

        return new Part(cache, peak);
    }

    private static Part Blocks(long inputs, long outputs, int count, long pixels, long frames, bool apart = false)
    {
        var (cache, peak) = (0L, 0L);
        for (var i = 0; i < count; i++)
        {
            // The block's input lives to its end; a convolution has its padded input and its output beside it, a new cache entry the old one.
            var (x, y) = (inputs * frames, outputs * frames);
            // By themselves, the frames of a chunk are all that is there beside the cache, and the shortcut is added at once.
            var first = apart ? x + y : inputs * (frames + Kept) + Math.Max(y, Kept * inputs);
            var second = apart ? 2 * y + (inputs == outputs ? 0 : y) : y + outputs * (frames + Kept) + (frames < Kept ? (Kept - frames) * outputs : 0);
            peak = Math.Max(peak, pixels * (x + Math.Max(first, second)));
            cache += pixels * Kept * (inputs + outputs);
            inputs = outputs;
        }

        return new Part(cache, peak);
    }

    // Its input is counted by the caller; pixels before and after.
    private static Part Upsample(long dim, long covered, long entry, long frames, bool doubles, long outputs, bool apart)
    {
        var doubled = doubles ? 2 * dim * covered * frames : 0;
        var inTime = doubles ? InTime(dim * covered, frames, apart) : 0;
        var outFrames = doubles ? 2 * frames : frames;
        var cropped = entry == 4 * covered ? 0 : outputs * (4 * covered + entry) * outFrames;
        return new Part(doubles ? Kept * dim * covered : 0, Math.Max(inTime, Math.Max(doubled + InSpace(dim, covered, outFrames, outputs, apart), cropped)));
    }

    // Twice the frames as they come and in their order, or as they come and what they came from. Its input is counted by the caller.
    private static long InTime(long input, long frames, bool apart) =>
        2 * input * frames + (apart ? 2 * input * frames : Math.Max(2 * input * frames, input * (frames + Kept)));

    // Our own convolution needs no doubled frames.
    private static long InSpace(long dim, long covered, long frames, long outputs, bool apart) => ((apart ? 0 : dim) + outputs) * 4 * covered * frames;

    private static long Output(long dim, long pixels, long frames, bool apart) =>
        pixels * (apart ? frames * (2 * dim + PaddedColours) : dim * (2 * frames + Kept));

    // Elements kept from one latent frame to the next, and the most beside them.
    private readonly record struct Part(long Cache, long Peak);
}
