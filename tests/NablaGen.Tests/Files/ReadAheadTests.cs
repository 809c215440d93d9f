using NablaGen.Files;

namespace NablaGen.Tests.Files;

public class ReadAheadTests
{
    [Fact]
    public void Files_are_read_to_their_end_and_missing_ones_are_passed_over()
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["a"], new byte[20 << 20]);
        using var ahead = ReadAhead.Start([folder["a"], folder["none"], folder["a"]]);
        Assert.True(ahead!.Wait(TimeSpan.FromSeconds(30)));
        Assert.Null(ReadAhead.Start([folder["none"]]));
    }

    [Fact]
    public void It_stops_when_disposed_of()
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["a"], new byte[20 << 20]);
        var ahead = ReadAhead.Start([.. Enumerable.Repeat(folder["a"], 20)])!;
        ahead.Dispose();
        Assert.True(ahead.Wait(TimeSpan.Zero));
    }
}
