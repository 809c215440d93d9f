using NablaGen.Files;

namespace NablaGen.Tests.Files;

public sealed class OutputFileTests : IDisposable
{
    private readonly TempFolder _folder = new();

    [Fact]
    public void What_a_killed_process_left_aside_is_removed_and_nothing_else()
    {
        var mine = OutputFile.Aside(_folder["a.mp4"]);
        var token = ProcessIdentity.Token.Split('-');
        // The same place, and no such process.
        var dead = $"{_folder["a.mp4"]}.{token[0]}-7fffffff-1-1.partial";
        var deadOther = $"{_folder["check.mp4"]}.{token[0]}-7fffffff-1-a.partial";
        var elsewhere = $"{_folder["a.mp4"]}.{(token[0] == "00000000" ? "1" : "0")}{token[0][1..]}-7fffffff-1-1.partial";
        string[] foreign = [_folder["a.mp4.partial"], _folder["a.mp4.0123abcd.partial"], _folder["x.partial"]];
        foreach (var path in new[] { mine, dead, deadOther, elsewhere }.Concat(foreign))
        {
            File.WriteAllText(path, "x");
        }

        OutputFile.Prepare(_folder["a.mp4"], ".mp4");
        Assert.False(File.Exists(dead));
        Assert.True(File.Exists(deadOther));
        OutputFile.RemoveAbandoned(_folder.Path);
        Assert.Equal(new[] { mine, elsewhere }.Concat(foreign).Order(), _folder.Files.Order());
    }

    [Fact]
    public void What_this_process_has_aside_goes_when_it_is_ended()
    {
        var partial = OutputFile.Aside(_folder["a.mp4"]);
        File.WriteAllText(partial, "x");
        var done = OutputFile.Aside(_folder["b.mp4"]);
        File.WriteAllText(done, "x");
        OutputFile.Rename(done, _folder["b.mp4"]);
        OutputFile.DiscardAll();
        Assert.Equal([_folder["b.mp4"]], _folder.Files);
    }

    [Theory]
    [InlineData(28, true)]
    [InlineData(30, true)]
    [InlineData(122, true)]
    [InlineData(5, true)]
    [InlineData(2, false)]
    [InlineData(36, false)]
    public void A_full_or_broken_disk_is_the_machines_fault(int number, bool expected)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Linux's numbers");
        Assert.Equal(expected, EnvironmentFault.Is(new NablaGenException("cannot be written", new IOException("x", number))));
        Assert.False(EnvironmentFault.Is(new NablaGenException("x")));
    }

    [Fact]
    public void A_limit_on_the_size_of_files_is_one_line_and_the_machines_fault()
    {
        // As .NET tells EFBIG.
        var error = Assert.Throws<NablaGenException>(() => OutputFile.Write(
            _folder["a.json"], _ => throw new ArgumentOutOfRangeException("value", "Specified file length was too large for the file system.")));
        Assert.Contains("cannot be written: File too large", error.Message);
        Assert.True(EnvironmentFault.Is(error));
        Assert.Empty(_folder.Files);
    }

    [Fact]
    public void A_file_in_the_place_of_a_folder_is_named()
    {
        File.WriteAllText(_folder["x"], "");
        Assert.EndsWith($"cannot be written: {_folder["x"]} is not a folder", Assert.Throws<NablaGenException>(() => OutputFile.Prepare(_folder["x/y/a.png"], ".png")).Message);
    }

    public void Dispose() => _folder.Dispose();
}
