using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using NablaGen.Models.Wan.Text.Tokenizer;

namespace NablaGen.Tests.Tokenizer;

public class PromptCleanerTests
{
    // Made by make_cleaning_cases.py from the cleaning that Wan itself calls.
    private static readonly JsonElement Reference = ReadReference();

    [Fact]
    public void Texts_clean_as_Wan_cleans_them()
    {
        var wrong = new List<string>();
        foreach (JsonElement pair in Reference.GetProperty("cases").EnumerateArray())
        {
            string text = pair[0].GetString()!, expected = pair[1].GetString()!, cleaned = PromptCleaner.Clean(text);
            if (cleaned != expected)
            {
                wrong.Add($"{Escape(text)}: {Escape(cleaned)}, expected {Escape(expected)}");
            }
        }

        Assert.Empty(wrong);
    }

    [Fact]
    public void Every_code_point_cleans_as_Wan_cleans_it()
    {
        int size = Reference.GetProperty("block").GetInt32();
        var wrong = new List<string>();
        int start = 0;
        foreach (JsonElement digest in Reference.GetProperty("blocks").EnumerateArray())
        {
            var characters = Enumerable.Range(start, size).Where(Rune.IsValid).Select(code => $"x{new Rune(code)}x");
            byte[] cleaned = Encoding.UTF8.GetBytes(PromptCleaner.Clean(string.Join(' ', characters)));
            if (Convert.ToHexStringLower(SHA256.HashData(cleaned))[..16] != digest.GetString())
            {
                wrong.Add($"U+{start:X4} to U+{start + size - 1:X4}");
            }

            start += size;
        }

        Assert.Equal(0x110000, start);
        Assert.Empty(wrong);
    }

    [Theory]
    [InlineData("e\u0301", "é")]
    [InlineData("q\u0307\u0323", "q\u0323\u0307")]
    [InlineData("a\u0307\u0323", "ạ\u0307")]
    [InlineData("\u1112\u1161\u11AB\u1100\u116E\u11A8", "한국")]
    [InlineData("\u212B \u0958", "Å \u0915\u093C")]
    public void Characters_are_composed_though_the_runtime_would_not(string decomposed, string composed)
    {
        Assert.True(AppContext.TryGetSwitch("System.Globalization.Invariant", out bool invariant) && invariant);
        Assert.NotEqual("é", "e\u0301".Normalize(NormalizationForm.FormC));

        Assert.Equal(composed, PromptCleaner.Clean(decomposed));
    }

    [Fact]
    public void Lone_surrogates_become_the_replacement_character()
    {
        Assert.Equal("\uFFFD", PromptCleaner.Clean("\uD83D"));
        Assert.Equal("\uFFFD\uFFFDx", PromptCleaner.Clean("\uDE00\uD83Dx"));
        Assert.Equal("😀", PromptCleaner.Clean("\uD83D\uDE00"));
    }

    [Fact]
    public void Cleaning_twice_changes_nothing_more_in_a_plain_prompt()
    {
        string once = PromptCleaner.Clean("  “Two”  cats:\r\n cafe\u0301, ＷＩＤＥ … &amp; ﬁne ");

        Assert.Equal("\"Two\" cats: café, WIDE … & fine", once);
        Assert.Equal(once, PromptCleaner.Clean(once));
    }

    private static JsonElement ReadReference()
    {
        using var stream = typeof(PromptCleanerTests).Assembly.GetManifestResourceStream("cleaning-cases.json")!;
        using var document = JsonDocument.Parse(stream);
        return document.RootElement.Clone();
    }

    private static string Escape(string text) => string.Concat(text.Select(c => c is > ' ' and <= '~' ? c.ToString() : $"\\u{(int)c:X4}"));
}
