using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Files;
using NablaGen.Video;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Previews;

/// <summary>Writes a small animated GIF of what the video will be, every few steps, over the one before. A viewer always sees a whole file.</summary>
public sealed class PreviewWriter : ISamplingObserver
{
    // Pixels a latent pixel: half the video's size.
    private const int Zoom = 4;

    private readonly string _path;
    private readonly int _every;
    private readonly double _fps;
    private readonly LatentColors _colors;
    private readonly Action<string> _warn;
    private bool _failed;

    /// <summary>A preview for one run.</summary>
    /// <param name="path">The .gif to write.</param>
    /// <param name="every">Steps from one preview to the next, at least 1.</param>
    /// <param name="fps">Latent frames a second.</param>
    /// <param name="colors">The VAE's colours.</param>
    /// <param name="warn">Is told once, if one cannot be written; the run goes on without.</param>
    public PreviewWriter(string path, int every, double fps, LatentColors colors, Action<string> warn)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(every, 1);
        (_path, _every, _fps, _colors, _warn) = (path, every, fps, colors, warn);
    }

    /// <summary>The name that goes with a video's: <c>out.mp4</c> → <c>out.preview.gif</c>.</summary>
    public static string PathBeside(string video) => Path.ChangeExtension(video, ".preview.gif");

    /// <summary>Sees before the work that the file can be written.</summary>
    /// <exception cref="InvalidRequestException">The name does not end in .gif.</exception>
    /// <exception cref="NablaGenException">Nothing can be written there.</exception>
    public static void Check(string path)
    {
        if (!Path.GetExtension(path).Equals(".gif", StringComparison.OrdinalIgnoreCase))
        {
            throw new InvalidRequestException($"{path}: the name of the preview must end in .gif");
        }

        OutputFile.Prepare(path, ".gif");
    }

    /// <summary>The frames of a preview, one a latent frame. [C, T', h, w] → [3, T', 4 h, 4 w], about in [−1, 1], on the same device.</summary>
    internal static Tensor Frames(LatentColors colors, Tensor latents)
    {
        using var scope = NewDisposeScope();
        var rgb = colors.ToRgb(latents).permute(1, 0, 2, 3);
        return nn.functional.interpolate(rgb, [rgb.shape[2] * Zoom, rgb.shape[3] * Zoom], mode: InterpolationMode.Bilinear, align_corners: false)
            .permute(1, 0, 2, 3).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void OnDense(AttentionSite site)
    {
    }

    /// <inheritdoc/>
    public void OnSparse(AttentionSite site, IKeptBlocks kept)
    {
    }

    /// <inheritdoc/>
    public void OnPrediction(int step, Tensor clean)
    {
        if (_failed || (step + 1) % _every != 0)
        {
            return;
        }

        try
        {
            Write(clean);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            // Also memory: whatever happens to a preview, the video is made.
            _failed = true;
            _warn(Line.Of($"no more previews: {error.Message.Split('\n')[0]}"));
        }
    }

    /// <inheritdoc/>
    public void OnStep(int step, Tensor latents)
    {
    }

    private void Write(Tensor clean)
    {
        using var scope = NewDisposeScope();
        var large = Frames(_colors, clean.squeeze(0));
        var frames = new List<byte[]>();
        FrameConversion.ForEachFrame(large, frame => frames.Add(frame.ToArray()));
        GifWriter.Save(_path, (int)large.shape[3], (int)large.shape[2], _fps, frames);
    }
}
