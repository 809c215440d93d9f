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

    // A plan asks for five tilings, and building a VAE of shapes takes far longer than counting them.
    private static readonly ConditionalWeakTable<VaeConfig, StrongBox<long>> Counts = [];

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
        Parameters(config) * dtype.ElementSize() + Work(config, frames, height, width, dtype, tiling, apart);

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
        return activations * dtype.ElementSize();
    }

    /// <summary>The numbers of the frames that our own convolutions keep while a video is decoded, and of those that are spare: what a <see cref="FeatureCache"/> needs.</summary>
    /// <param name="config">The VAE's sizes.</param>
    /// <param name="latents">The latents' shape; none are kept of a single frame. [B, ZDim, T', h, w]</param>
    /// <param name="tile">What is decoded; null for the deep layers alone.</param>
    /// <param name="isWhole">Whether the deep layers are among them.</param>
    /// <param name="framesAtOnce">Frames at full resolution at once.</param>
    internal static long Room(VaeConfig config, long[] latents, VaeTile? tile, bool isWhole, int framesAtOnce)
    {
        var deep = isWhole ? Deep(config, latents[3] * latents[4], true) : default;
        var rise = tile is null ? default : Rise(config, tile, true, framesAtOnce, true);
        return latents[2] == 1 ? 0 : latents[0] * (deep.Placed + rise.Placed + Math.Max(deep.Spare, rise.Spare));
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
        return (Parameters(config) + activations) * dtype.ElementSize() + sizeof(float) * chunk;
    }

    // The encoder down to the latents' size; pixels are those of the first level.
    private static Part Descent(VaeConfig config, long pixels, long chunk, int framesAtOnce)
    {
        var (all, dim, waiting) = (Keeping(config.Colours * pixels, chunk, false), (long)config.Dim, 0L);
        for (var level = 0; level < config.DimMult.Count; level++)
        {
            long outputs = config.Dim * config.DimMult[level];
            // The first level may take fewer frames at a time, whose results wait for one another.
            var piece = level < VaeChunks.TopLevels(config) ? Math.Min(chunk, framesAtOnce) : chunk;
            waiting = piece < chunk ? 2 * outputs * (pixels / 4) * chunk : 0;
            var blocks = Blocks(dim, outputs, config.NumResBlocks, pixels, piece);
            // A level's shortcut holds its input to the end.
            var held = config.HasLevelShortcuts ? 2 * dim * pixels * piece : 0;
            all += (blocks + Taking(3 * outputs * pixels * piece)).Beside(waiting + held);
            (dim, pixels) = level < config.DimMult.Count - 1 ? (outputs, pixels / 4) : (outputs, pixels);
            chunk = level < config.TemporalDownsample.Count && config.TemporalDownsample[level] ? Math.Max(1, chunk / 2) : chunk;
        }

        return all;
    }

    private static long Parameters(VaeConfig config) => Counts.GetValue(config, key =>
    {
        using var model = new WanVae(key, ModuleOptions.Meta);
        return new(model.Shapes().Values.Sum(shape => shape.Aggregate(1L, (product, side) => product * side)));
    }).Value;

    // All counts are of elements; pixels are those of a frame.
    private static Part Deep(VaeConfig config, long pixels, bool apart)
    {
        long dim = config.DecoderWidth * config.DimMult[^1];
        var middle = Blocks(dim, dim, 2, pixels, 1, apart);
        // The attention's input and its norm, queries, keys and values together, its output and the projection.
        var attention = 7 * dim * pixels;
        var level = config.HasLevelShortcuts ? default : Blocks(dim, dim, config.NumResBlocks + 1, pixels, 1, apart);
        return Keeping(config.ZDim * pixels, 1, false) + middle + level + Taking(attention);
    }

    // Wan2.2's levels: residual blocks, then the up-sampling beside the shortcut, whose input lives as long.
    private static Part RiseWithShortcuts(VaeConfig config, VaeTile tile, bool moves, int framesAtOnce, bool apart)
    {
        var (all, frames) = (default(Part), 1L);
        long dim = config.DecoderWidth * config.DimMult[^1];
        for (var level = config.DimMult.Count - 1; level >= 0; level--)
        {
            var at = config.DimMult.Count - 1 - level;
            var (entry, exit) = at == 0 ? (tile.Inner, tile.Start) : (tile.Entries[at - 1], tile.Exits[at - 1]);
            long outputs = config.DecoderWidth * config.DimMult[level];
            var piece = level == 0 ? Math.Min(frames, framesAtOnce) : frames;
            var input = dim * entry.Area * frames;
            all += Blocks(dim, outputs, config.NumResBlocks + 1, entry.Area, piece, apart).Beside(input);
            if (level > 0)
            {
                var doubles = config.TemporalDownsample[level - 1] && moves;
                var up = Upsample(outputs, exit.Area, tile.Entries[at].Area, frames, doubles, outputs, apart);
                var raised = doubles ? 2 * frames : frames;
                // The shortcut is repeated once into channels and once into place.
                all += up.Beside(input + outputs * exit.Area * frames + 2 * outputs * 4 * exit.Area * raised);
                frames = raised;
            }
            else
            {
                all += Output(outputs, config.Colours, exit.Area, piece, apart).Beside(input);
            }

            dim = outputs;
        }

        return all;
    }

    private static Part Rise(VaeConfig config, VaeTile tile, bool moves, int framesAtOnce, bool apart)
    {
        if (config.HasLevelShortcuts)
        {
            return RiseWithShortcuts(config, tile, moves, framesAtOnce, apart);
        }

        var (all, piece, covered, waiting) = (default(Part), 1L, tile.Start, 0L);
        long dim = config.Dim * config.DimMult[^1];
        for (var level = config.DimMult.Count - 2; level >= 0; level--)
        {
            var at = config.DimMult.Count - 2 - level;
            var (entry, exit) = (tile.Entries[at], tile.Exits[at]);
            var (input, outputs) = (dim * covered.Area, (long)config.Dim * config.DimMult[level]);
            if (config.TemporalDownsample[level] && moves)
            {
                var own = IsOwn(apart, dim, 2 * dim);
                all += Keeping(input, piece, own) + Taking(waiting + input * piece + InTime(input, piece, own));
                piece *= 2;
            }

            // A few frames are taken at a time from each level on. They are cut apart, and the others wait.
            if (piece > framesAtOnce)
            {
                all += Taking(waiting + 2 * input * piece);
                waiting += input * (piece - framesAtOnce);
                piece = framesAtOnce;
            }

            all += Taking(waiting + input * piece + InSpace(dim, covered.Area, piece, dim / 2, apart));
            all += Taking(waiting + (entry.Area == 4 * covered.Area ? 0 : dim / 2 * piece * (4 * covered.Area + entry.Area)));
            all += Blocks(dim / 2, outputs, config.NumResBlocks + 1, entry.Area, piece, apart).Beside(waiting);
            all += Taking(waiting + (entry == exit ? 0 : outputs * piece * (entry.Area + exit.Area)));
            (dim, covered) = (outputs, exit);
        }

        return all + Output(dim, config.Colours, covered.Area, piece, apart).Beside(waiting);
    }

    private static Part Blocks(long inputs, long outputs, int count, long pixels, long frames, bool apart = false)
    {
        var all = default(Part);
        for (var i = 0; i < count; i++)
        {
            // The block's input lives to its end; a convolution has its padded input and its output beside it, a new cache entry the old one.
            // By themselves, the frames of a chunk are all that is there beside the cache, and the shortcut is added at once.
            var (x, y, one, two) = (inputs * frames, outputs * frames, IsOwn(apart, inputs, outputs), IsOwn(apart, outputs, outputs));
            var first = one ? x + frames * Written(outputs, one) : inputs * (frames + Kept) + Math.Max(y, Kept * inputs);
            var second = two ? 2 * y + (inputs == outputs ? 0 : y) : y + outputs * (frames + Kept) + (frames < Kept ? (Kept - frames) * outputs : 0);
            all += Keeping(inputs * pixels, frames, one) + Keeping(outputs * pixels, frames, two) + Taking(pixels * (x + Math.Max(first, second)));
            inputs = outputs;
        }

        return all;
    }

    // Its input is counted by the caller; pixels before and after.
    private static Part Upsample(long dim, long covered, long entry, long frames, bool doubles, long outputs, bool apart)
    {
        var own = IsOwn(apart, dim, 2 * dim);
        var doubled = doubles ? 2 * dim * covered * frames : 0;
        var inTime = doubles ? InTime(dim * covered, frames, own) : 0;
        var outFrames = doubles ? 2 * frames : frames;
        var cropped = entry == 4 * covered ? 0 : outputs * (4 * covered + entry) * outFrames;
        var peak = Math.Max(inTime, Math.Max(doubled + InSpace(dim, covered, outFrames, outputs, apart), cropped));
        return (doubles ? Keeping(dim * covered, frames, own) : default) + Taking(peak);
    }

    // Twice the frames as they come and in their order, or as they come and what they came from. Its input is counted by the caller.
    private static long InTime(long input, long frames, bool own) =>
        2 * input * frames + (own ? 2 * input * frames : Math.Max(2 * input * frames, input * (frames + Kept)));

    // Our own convolution needs no doubled frames.
    private static long InSpace(long dim, long covered, long frames, long outputs, bool apart) =>
        (IsOwn(apart, dim, outputs) ? Written(outputs, true) : dim + outputs) * 4 * covered * frames;

    private static Part Output(long dim, long colours, long pixels, long frames, bool apart)
    {
        var own = IsOwn(apart, dim, colours);
        return Keeping(dim * pixels, frames, own) + Taking(pixels * (own ? frames * (2 * dim + Written(colours, own)) : dim * (2 * frames + Kept)));
    }

    private static bool IsOwn(bool apart, long inputs, long outputs) => apart && ConvolutionOp.Fits(inputs, outputs);

    // Channels that come out; our own convolution writes at least so many, of which some are copied.
    private static long Written(long outputs, bool own) => own && outputs < ConvolutionOp.LeastOutputs ? ConvolutionOp.LeastOutputs + outputs : outputs;

    // A layer that keeps frames of its input. A frame's elements, and the frames of a chunk.
    private static Part Keeping(long frame, long frames, bool own) => new(Kept * frame, 0, own ? Kept * frame : 0, own ? frames * frame : 0);

    private static Part Taking(long elements) => new(0, elements, 0, 0);

    // Elements kept from one latent frame to the next, and the most beside them; of those kept what has a place in the cache's room, and its spare places.
    private readonly record struct Part(long Cache, long Peak, long Placed, long Spare)
    {
        public static Part operator +(Part left, Part right) =>
            new(left.Cache + right.Cache, Math.Max(left.Peak, right.Peak), left.Placed + right.Placed, Math.Max(left.Spare, right.Spare));

        public Part Beside(long elements) => this with { Peak = Peak + elements };
    }
}
