using NablaGen.Files;
using NablaGen.Models;

namespace NablaGen.Generation;

/// <summary>The room on a disk that a video and its latents take, looked at before the work.</summary>
internal static class OutputSpace
{
    // Of a video at our quality that hardly moves, and what is in every MP4 besides frames: the least that is to be expected.
    private const double BytesAPixel = 0.03;
    private const long Overhead = 3 << 10;

    /// <summary>Bytes of a request's latents on disk, about to the byte: float32 and the recipe.</summary>
    public static long Latents(GenerationRequest request, LatentTraits traits) =>
        request.LatentShape(traits).Aggregate(1L, (product, side) => product * side) * sizeof(float) + TextBytes(request.Prompt, request.NegativePrompt);

    /// <summary>Bytes that a request's video and the recipe beside it take at least.</summary>
    public static long Video(GenerationRequest request) => Video(request.Width, request.Height, request.Frames, TextBytes(request.Prompt, request.NegativePrompt));

    /// <inheritdoc cref="Video(GenerationRequest)"/>
    public static long Video(Recipe recipe) => Video(recipe.Width, recipe.Height, recipe.Frames, TextBytes(recipe.Prompt, recipe.NegativePrompt));

    /// <summary>Sees that there is room for a request's files.</summary>
    /// <param name="request">The request.</param>
    /// <param name="traits">The model's.</param>
    /// <param name="output">The video.</param>
    /// <param name="latents">Its latents; null where they are there already.</param>
    /// <exception cref="NablaGenException">There is too little.</exception>
    public static void Check(GenerationRequest request, LatentTraits traits, string output, string? latents)
    {
        var (video, state) = (Video(request), latents is null ? 0 : Latents(request, traits));
        if (latents is null || Path.GetDirectoryName(Path.GetFullPath(output)) == Path.GetDirectoryName(Path.GetFullPath(latents)))
        {
            Check(output, video + state, latents is null ? "the video" : "the video and its latents");
            return;
        }

        Check(output, video, "the video");
        Check(latents, state, "the latents");
    }

    /// <summary>Sees that there is room for a number of bytes where a file is to be.</summary>
    /// <exception cref="NablaGenException">There is too little.</exception>
    public static void Check(string path, long bytes, string what)
    {
        if (Free(path) is { } free && free < bytes)
        {
            throw new NablaGenException($"{path}: {what} will take about {Text(bytes)}, and {Text(free)} are free there: make room, or write elsewhere",
                new IOException("No space left on device", EnvironmentFault.NoSpace));
        }
    }

    /// <summary>Bytes that this user may still write where a path is; null where that cannot be told.</summary>
    public static long? Free(string path)
    {
        try
        {
            var folder = Path.GetFullPath(path);
            while (!Directory.Exists(folder))
            {
                if (Path.GetDirectoryName(folder) is not { } parent)
                {
                    return null;
                }

                folder = parent;
            }

            return new DriveInfo(folder).AvailableFreeSpace;
        }
        catch (Exception error) when (OutputFile.IsOfFiles(error))
        {
            return null;
        }
    }

    /// <summary>A number of bytes for a person.</summary>
    public static string Text(long bytes) => bytes switch
    {
        < 1 << 20 => $"{bytes / 1024.0:0} KiB",
        < 1 << 30 => $"{bytes / 1048576.0:0.0} MiB",
        _ => $"{bytes / 1073741824.0:0.0} GiB",
    };

    private static long Video(int width, int height, int frames, long recipe) =>
        Overhead + (2 * recipe) + (long)(BytesAPixel * width * height * frames);

    // What of a recipe varies: its texts.
    private static long TextBytes(params string?[] texts) => 512 + texts.Sum(text => (text?.Length ?? 0) * 2L);
}
