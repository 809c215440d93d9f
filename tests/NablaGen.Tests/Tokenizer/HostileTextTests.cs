using System.Diagnostics;
using System.Text;
using NablaGen.Models.Wan.Text.Tokenizer;

namespace NablaGen.Tests.Tokenizer;

/// <summary>No text takes a time that grows with its square.</summary>
public sealed class HostileTextTests
{
    [Theory]
    [InlineData("&", "amp;", "")]
    [InlineData("", "\u0316\u0301", "a")]
    [InlineData("a", "\u0301\u0316", "")]
    [InlineData("", "&lt;", "")]
    [InlineData("", "\u1EBF", "")]
    public void A_very_long_text_is_cleaned_in_seconds(string head, string repeated, string tail)
    {
        var text = head + new StringBuilder().Insert(0, repeated, 200_000 / Encoding.UTF8.GetByteCount(repeated)) + tail;
        var watch = Stopwatch.StartNew();
        Assert.NotNull(PromptCleaner.Clean(text));
        // Half of it took half a minute.
        Assert.InRange(watch.Elapsed.TotalSeconds, 0, 30);
    }

    [Fact]
    public void Marks_are_sorted_by_class_and_equal_ones_stay_as_they_came()
    {
        // 220, 230, 220, 230 → the two of 220 first.
        Assert.Equal("x\u0316\u0317\u0301\u0302", Nfc.Normalize("x\u0301\u0316\u0302\u0317"));
        Assert.Equal("á\u0316x\u0316", Nfc.Normalize("a\u0316\u0301x\u0316").Normalize(NormalizationForm.FormC));
    }

    [Fact]
    public void Entities_in_entities_are_resolved_as_before() => Assert.Equal("&", PromptCleaner.Clean("&" + string.Concat(Enumerable.Repeat("amp;", 40))));
}
