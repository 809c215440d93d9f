using NablaGen.Cli.Output;

namespace NablaGen.Tests.Cli;

[Trait(Lane.Name, Lane.Commands)]
public sealed class WrappedTests
{
    [Theory]
    [InlineData("one two three", "one two three", 5, 18)]
    [InlineData("one two three", "one two|     three", 5, 17)]
    [InlineData("one two three", "one|     two|     three", 5, 8)]
    [InlineData("/a/long/path one", "/a/long/path|   one", 3, 8)]
    [InlineData("", "", 3, 8)]
    public void Lines_end_at_words_and_stand_below_the_first(string text, string expected, int indent, int width)
    {
        Assert.Equal(expected.Replace("|", Environment.NewLine), Wrapped.Text(text, indent, width));
    }
}
