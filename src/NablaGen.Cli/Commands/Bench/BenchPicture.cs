using NablaGen.Files;
using NablaGen.Generation;
using NablaGen.Video.Pictures;

namespace NablaGen.Cli.Commands.Bench;

/// <summary>A picture to begin with, of a video's size, as long as a measurement takes: what it shows makes no difference to the time.</summary>
internal sealed class BenchPicture : IDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"nablagen-bench-{Guid.NewGuid():N}.png");

    public BenchPicture(int width, int height)
    {
        var pixels = new byte[3 * width * height];
        for (var i = 0; i < pixels.Length; i++)
        {
            pixels[i] = (byte)(i / 3 % width * 255 / width);
        }

        PictureFile.SavePng(_path, width, height, pixels);
        Source = SourcePicture.Open(_path);
    }

    public SourcePicture Source { get; }

    public void Dispose() => OutputFile.Discard(_path);
}
