using System.Diagnostics;
using System.Text;
using NablaGen.Files;

namespace NablaGen.Tests.Files;

public sealed class SharedLinesTests : IDisposable
{
    private readonly TempFolder _folder = new();

    [Fact]
    public void Lines_of_many_writers_are_all_there_and_whole_and_none_takes_a_lock()
    {
        const int Writers = 4, Each = 40;
        var path = _folder["a.jsonl"];
        File.WriteAllText(path, "");
        // A lock that a reader or an older version holds on the file keeps nobody from appending.
        using var other = OperatingSystem.IsWindows() ? null : new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        Parallel.For(0, Writers, new ParallelOptions { MaxDegreeOfParallelism = Writers }, writer =>
        {
            for (var i = 0; i < Each; i++)
            {
                SharedLines.Add(path, Encoding.UTF8.GetBytes($"{writer}-{i}-{new string('x', 500)}"));
            }
        });
        var lines = File.ReadAllText(path).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(Writers * Each, lines.Length);
        Assert.Equal(Writers * Each, lines.Distinct().Count());
        Assert.All(lines, line => Assert.EndsWith(new string('x', 500), line));
    }

    [Fact]
    public void A_torn_line_is_ended_first()
    {
        File.WriteAllText(_folder["a"], "whole\ntor");
        SharedLines.Add(_folder["a"], "next"u8);
        Assert.Equal("whole\ntor\nnext\n", File.ReadAllText(_folder["a"]));
    }

    [Fact]
    public async Task A_line_that_is_being_written_is_waited_for()
    {
        using var other = new FileStream(_folder["a"], FileMode.Create, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        other.Write("half a "u8);
        var adding = Task.Run(() => SharedLines.Add(_folder["a"], "next"u8), TestContext.Current.CancellationToken);
        await Task.Delay(50, TestContext.Current.CancellationToken);
        other.Write("line\n"u8);
        await adding;
        Assert.Equal("half a line\nnext\n", File.ReadAllText(_folder["a"]));
    }

    [Fact]
    public void A_named_pipe_and_a_file_that_may_not_be_written_are_said_at_once()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "mkfifo");
        Process.Start("mkfifo", _folder["pipe"]).WaitForExit();
        var watch = Stopwatch.StartNew();
        Assert.Contains("a pipe or a device", Assert.ThrowsAny<IOException>(() => SharedLines.Open(_folder["pipe"])).Message);
        Assert.Contains("a pipe or a device", Assert.ThrowsAny<IOException>(() => SharedLines.Add(_folder["pipe"], "x"u8)).Message);
        Assert.ThrowsAny<IOException>(() => SharedLines.Add(_folder.Path, "x"u8));
        Assert.InRange(watch.Elapsed.TotalSeconds, 0, 10);
    }

    public void Dispose() => _folder.Dispose();
}
