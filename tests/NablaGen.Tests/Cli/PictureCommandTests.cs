using NablaGen.Tests.Generation;
using NablaGen.Video.Pictures;

namespace NablaGen.Tests.Cli;

/// <summary>Models and pictures that do not belong together are wrong usage: exit code 2 and one line.</summary>
[Trait(Lane.Name, Lane.Commands)]
public sealed class PictureCommandTests(PictureModelFixture models) : IClassFixture<PictureModelFixture>
{
    [Theory]
    [InlineData("i2v", false, "makes videos from a picture: name it with --image")]
    [InlineData("t2v", true, "makes videos of text alone: --image has no effect")]
    public void A_picture_too_few_or_too_many_is_wrong_usage(string kind, bool hasPicture, string line)
    {
        using var folder = new TempFolder();
        PictureFile.SavePng(folder["a.png"], 16, 16, new byte[16 * 16 * 3]);
        string[] picture = hasPicture ? ["--image", folder["a.png"]] : [];
        var run = NablaGenCommand.Run(["generate", "--model", models[kind].Path, "--prompt", "x", "--output", folder["a.mp4"], .. picture]);
        Assert.Equal(2, run.ExitCode);
        Assert.Contains(line, run.Error);
        Assert.DoesNotContain(folder.Files, file => !file.EndsWith("a.png", StringComparison.Ordinal));
    }
}
