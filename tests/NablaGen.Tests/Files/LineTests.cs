using NablaGen.Files;

namespace NablaGen.Tests.Files;

public sealed class LineTests
{
    [Fact]
    public void Nothing_of_a_strangers_text_gives_a_terminal_orders()
    {
        Assert.Equal("a [2J b c d e f", Line.Of("a\u001b[2J\nb\rc\u009bd\u202ee\u2066f"));
        Assert.Equal("x", Line.Of("x\r\n"));
    }

    [Fact]
    public void What_is_absurdly_long_loses_its_middle()
    {
        var line = Line.Of($"begin{new string('x', 3_000_000)}end");
        Assert.InRange(line.Length, 1000, Line.Longest + 3);
        Assert.StartsWith("begin", line);
        Assert.EndsWith("end", line);
        // No half of a pair is left at either side.
        Assert.DoesNotContain(Line.Of(string.Concat(Enumerable.Repeat("😀", 5000)), 101).EnumerateRunes(), rune => rune.Value == 0xFFFD);
        Assert.Equal("[1, 2]", Line.Shape([1, 2]));
        Assert.Equal("[0, 1, 2, 3, 4, 5, 6, 7, …]", Line.Shape(Enumerable.Range(0, 1_000_000).Select(side => (long)side)));
    }
}
