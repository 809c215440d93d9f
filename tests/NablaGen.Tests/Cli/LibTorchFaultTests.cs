namespace NablaGen.Tests.Cli;

/// <summary>A libtorch that does not load: one line, whatever the reason.</summary>
[Trait(Lane.Name, Lane.Commands)]
public sealed class LibTorchFaultTests : IDisposable
{
    private readonly TempFolder _folder = new();

    [Fact]
    public void A_libtorch_of_another_version_is_one_line()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "links libraries");
        // What TorchSharp needs is not in it, as in a libtorch of years ago.
        var own = Path.Combine(AppContext.BaseDirectory, "libtorch");
        foreach (var library in new[] { "c10", "torch_cpu", "torch" })
        {
            File.CreateSymbolicLink(_folder[$"lib{library}.so"], Path.Combine(own, "libc10.so"));
        }

        var run = NablaGenProcess.Run(["doctor"], _folder.Path, new Dictionary<string, string?> { ["NABLAGEN_LIBTORCH"] = _folder.Path });
        Assert.Equal(1, run.ExitCode);
        Assert.Contains($"FAIL  libtorch  TorchSharp does not load with the libtorch in {_folder.Path}: expected libtorch 2.10", run.Output.Replace("\n                ", " ", StringComparison.Ordinal));
        Assert.DoesNotContain("Step", run.Output);
        Assert.True(run.Output.Split('\n').Length < 30, run.Output);
        Assert.DoesNotContain("   at ", run.Output + run.Error);
    }

    [Fact]
    public void A_limit_on_addresses_is_named()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "ulimit is the shell's");
        var run = NablaGenProcess.Shell("ulimit -v 2000000; $N generate -p x --steps 1 --width 16 --height 16 --frames 1", _folder.Path);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("(this process may have 1953 MiB of memory addresses at most, see ulimit -v; libtorch takes some thousands)", run.Error);
        Assert.Equal(1, run.Error.Count(c => c == '\n'));
        Assert.Empty(_folder.Files);
    }

    public void Dispose() => _folder.Dispose();
}
