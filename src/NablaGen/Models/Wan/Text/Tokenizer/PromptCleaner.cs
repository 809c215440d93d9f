namespace NablaGen.Models.Wan.Text.Tokenizer;

/// <summary>
/// Wan's cleaning of a prompt before it is tokenized (<c>clean='whitespace'</c>). Port of <c>basic_clean</c> and
/// <c>whitespace_clean</c>, wan/modules/tokenizers.py.
/// </summary>
/// <remarks>
/// In order: the deterministic repairs of ftfy's <c>fix_text</c> (HTML entities in text that is not HTML, C1 controls, Latin
/// ligatures, full and half width forms, curly quotes, line breaks, lone surrogates, terminal escapes, control characters,
/// Unicode NFC); HTML entities twice more, by HTML's lenient rules; white space runs to one space, none at the ends.
/// Left out: ftfy's guess at mojibake (<c>fix_encoding</c>), so "â€™" stays as it is typed.
/// NFC and the entities come from our own tables, so that the result does not depend on ICU or the globalization mode.
/// </remarks>
public static class PromptCleaner
{
    /// <summary>The prompt as umT5 reads it: one line, single spaces, composed characters; possibly empty.</summary>
    /// <param name="prompt">Any text.</param>
    /// <exception cref="ArgumentNullException">The prompt is null.</exception>
    public static string Clean(string prompt)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        string text = TextRepair.Fix(prompt);
        text = HtmlEntities.Unescape(HtmlEntities.Unescape(text));
        return string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
    }
}
