using System.Runtime.CompilerServices;
using NablaGen.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Vae;

/// <summary>How much memory decoding and encoding will take, by counting their tensors layer by layer.</summary>
public static class VaeMemory
{
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

    /// <summary>How many numbers the frames have that our own convolutions keep while a video is decoded, with the spare ones: a <see cref="FeatureCache"/>'s room.</summary>
    /// <param name="config">The VAE's sizes.</param>
    /// <param name="latents">The latents' shape; none are kept of a single frame. [B, ZDim, T', h, w]</param>
    /// <param name="tile">What is decoded; null for the deep layers alone.</param>
    /// <param name="isWhole">Whether the deep layers are among them.</param>
    /// <param name="framesAtOnce">Frames at full resolution at once.</param>
    internal static long Room(VaeConfig config, long[] latents, VaeTile? tile, bool isWhole, int framesAtOnce)
    {
        var all = (isWhole ? Deep(config, latents[3] * latents[4], true) : default) + (tile is null ? default : Rise(config, tile, true, framesAtOnce, true));
        return latents[2] == 1 ? 0 : latents[0] * (all.Placed + all.Spare);
    }

    /// <summary>The same while a video is encoded, chunk by chunk. The video itself is not counted: it may be on another device.</summary>
    /// <param name="config">The VAE's sizes.</param>
    /// <param name="frames">Frames of the video.</param>
    /// <param name="height">Rows of the video.</param>
    /// <param name="width">Columns of the video.</param>
    /// <param name="dtype">The VAE's type.</param>
    /// <param name="tiling">How encoding is divided; null for not at all.</param>
    /// <param name="apart">Whether frames are by themselves, as our own convolution reads them: <see cref="CudaDevices.ConvolvesFramesApart"/>.</param>
    public static long EstimateEncoding(VaeConfig config, int frames, int height, int width, ScalarType dtype, VaeTiling? tiling = null, bool apart = false)
    {
        tiling ??= VaeTiling.None;
        var (rows, columns) = ((long)height / config.SpatialStride, (long)width / config.SpatialStride);
        var tiles = VaeEncodingTile.Cut(tiling, rows, columns, config);
        var source = tiles.MaxBy(tile => tile.Source.Area).Source;
        var down = Descent(config, source.Area, frames > 1 ? config.TemporalStride : 1, tiling.FramesAtOnce, apart);
        var (dim, pixels) = ((long)config.Dim * config.DimMult[^1], rows * columns);
        var finish = Finish(config, pixels, apart);
        var latentFrames = (frames - 1) / config.TemporalStride + 1;
        // A chunk as it comes, in float32, then in the VAE's type.
        var chunk = config.Colours * source.Area * (frames > 1 ? config.TemporalStride : 1);
        var activations = tiles.Count == 1
            ? down.Cache + finish.Cache + Math.Max(chunk + down.Peak, finish.Peak)
            : dim * pixels * latentFrames + Math.Max(down.Cache + chunk + down.Peak, finish.Cache + finish.Peak);
        return (Parameters(config) + activations) * dtype.ElementSize() + sizeof(float) * chunk;
    }

    /// <summary>As <see cref="Room"/> while a video is encoded.</summary>
    /// <param name="config">The VAE's sizes.</param>
    /// <param name="video">The video's shape; none are kept of a single frame. [B, 3, T, H, W]</param>
    /// <param name="source">Pixels of a tile at the encoder's first level; 0 for the deep layers alone.</param>
    /// <param name="isWhole">Whether the deep layers are among them.</param>
    /// <param name="framesAtOnce">Frames at full resolution at once.</param>
    internal static long EncodingRoom(VaeConfig config, long[] video, long source, bool isWhole, int framesAtOnce)
    {
        var finish = isWhole ? Finish(config, video[3] / config.SpatialStride * (video[4] / config.SpatialStride), true) : default;
        var all = finish + (source == 0 ? default : Descent(config, source, config.TemporalStride, framesAtOnce, true));
        return video[2] == 1 ? 0 : video[0] * (all.Placed + all.Spare);
    }

    // The encoder at the latents' size.
    private static VaePart Finish(VaeConfig config, long pixels, bool apart)
    {
        var dim = (long)config.Dim * config.DimMult[^1];
        return VaePart.Blocks(dim, dim, 2, pixels, 1, apart) + VaePart.Taking(7 * dim * pixels) + VaePart.Output(dim, 2 * config.ZDim, pixels, 1, apart);
    }

    // The encoder down to the latents' size; pixels are those of the first level.
    private static VaePart Descent(VaeConfig config, long pixels, long chunk, int framesAtOnce, bool apart)
    {
        var (all, dim, waiting) = (VaePart.Keeping(config.Colours * pixels, chunk, false), (long)config.Dim, 0L);
        for (var level = 0; level < config.DimMult.Count; level++)
        {
            long outputs = config.Dim * config.DimMult[level];
            // The first level may take fewer frames at a time, whose results wait for one another.
            var piece = level < VaeChunks.TopLevels(config) ? Math.Min(chunk, framesAtOnce) : chunk;
            waiting = piece < chunk ? 2 * outputs * (pixels / 4) * chunk : 0;
            var blocks = VaePart.Blocks(dim, outputs, config.NumResBlocks, pixels, piece, apart);
            // A level's shortcut holds its input to the end.
            var held = config.HasLevelShortcuts ? 2 * dim * pixels * piece : 0;
            // The down-sampling has its input, the same with a border, and a quarter of it.
            var halved = level < config.DimMult.Count - 1 ? outputs * pixels * piece * 9 / 4 : 0;
            all += (blocks + VaePart.Taking(halved)).Beside(waiting + held);
            (dim, pixels) = level < config.DimMult.Count - 1 ? (outputs, pixels / 4) : (outputs, pixels);
            // Where time is halved, too, a frame is kept.
            all += level < config.TemporalDownsample.Count && config.TemporalDownsample[level] ? new VaePart(outputs * pixels, 0) : default;
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
    private static VaePart Deep(VaeConfig config, long pixels, bool apart)
    {
        long dim = config.DecoderWidth * config.DimMult[^1];
        var middle = VaePart.Blocks(dim, dim, 2, pixels, 1, apart);
        // The attention's input and its norm, queries, keys and values together, its output and the projection.
        var attention = 7 * dim * pixels;
        var level = config.HasLevelShortcuts ? default : VaePart.Blocks(dim, dim, config.NumResBlocks + 1, pixels, 1, apart);
        return VaePart.Keeping(config.ZDim * pixels, 1, false) + middle + level + VaePart.Taking(attention);
    }

    // Wan2.2's levels: residual blocks, then the up-sampling beside the shortcut, whose input lives as long.
    private static VaePart RiseWithShortcuts(VaeConfig config, VaeTile tile, bool moves, int framesAtOnce, bool apart)
    {
        var (all, frames) = (default(VaePart), 1L);
        long dim = config.DecoderWidth * config.DimMult[^1];
        for (var level = config.DimMult.Count - 1; level >= 0; level--)
        {
            var at = config.DimMult.Count - 1 - level;
            var (entry, exit) = at == 0 ? (tile.Inner, tile.Start) : (tile.Entries[at - 1], tile.Exits[at - 1]);
            long outputs = config.DecoderWidth * config.DimMult[level];
            var piece = level == 0 ? Math.Min(frames, framesAtOnce) : frames;
            var input = dim * entry.Area * frames;
            all += VaePart.Blocks(dim, outputs, config.NumResBlocks + 1, entry.Area, piece, apart).Beside(input);
            if (level > 0)
            {
                var doubles = config.TemporalDownsample[level - 1] && moves;
                var up = VaePart.Upsample(outputs, exit.Area, tile.Entries[at].Area, frames, doubles, outputs, apart);
                var raised = doubles ? 2 * frames : frames;
                // The shortcut is repeated once into channels and once into place.
                all += up.Beside(input + outputs * exit.Area * frames + 2 * outputs * 4 * exit.Area * raised);
                frames = raised;
            }
            else
            {
                all += VaePart.Output(outputs, config.Colours, exit.Area, piece, apart).Beside(input);
            }

            dim = outputs;
        }

        return all;
    }

    private static VaePart Rise(VaeConfig config, VaeTile tile, bool moves, int framesAtOnce, bool apart)
    {
        if (config.HasLevelShortcuts)
        {
            return RiseWithShortcuts(config, tile, moves, framesAtOnce, apart);
        }

        var (all, piece, covered, waiting) = (default(VaePart), 1L, tile.Start, 0L);
        long dim = config.Dim * config.DimMult[^1];
        for (var level = config.DimMult.Count - 2; level >= 0; level--)
        {
            var at = config.DimMult.Count - 2 - level;
            var (entry, exit) = (tile.Entries[at], tile.Exits[at]);
            var (input, outputs) = (dim * covered.Area, (long)config.Dim * config.DimMult[level]);
            if (config.TemporalDownsample[level] && moves)
            {
                var own = VaePart.IsOwn(apart, dim, 2 * dim);
                all += VaePart.Keeping(input, piece, own) + VaePart.Taking(waiting + input * piece + VaePart.InTime(input, piece, own));
                piece *= 2;
            }

            // A few frames are taken at a time. They are cut apart, and the others wait.
            if (piece > framesAtOnce && at >= VaeDecoder.SplitLevel(config, apart))
            {
                all += VaePart.Taking(waiting + 2 * input * piece);
                waiting += input * (piece - framesAtOnce);
                piece = framesAtOnce;
            }

            all += VaePart.Taking(waiting + input * piece + VaePart.InSpace(dim, covered.Area, piece, dim / 2, apart));
            all += VaePart.Taking(waiting + (entry.Area == 4 * covered.Area ? 0 : dim / 2 * piece * (4 * covered.Area + entry.Area)));
            all += VaePart.Blocks(dim / 2, outputs, config.NumResBlocks + 1, entry.Area, piece, apart).Beside(waiting);
            all += VaePart.Taking(waiting + (entry == exit ? 0 : outputs * piece * (entry.Area + exit.Area)));
            (dim, covered) = (outputs, exit);
        }

        return all + VaePart.Output(dim, config.Colours, covered.Area, piece, apart).Beside(waiting);
    }
}
