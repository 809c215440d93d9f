using System.Text;
using System.Text.RegularExpressions;

namespace NablaGen.Models.Wan.Text.Tokenizer;

/// <summary>
/// umT5's tokenizer: a SentencePiece Unigram vocabulary (<c>google/umt5-xxl/spiece.model</c>) run as Hugging Face's
/// <c>T5TokenizerFast</c> runs it, which is what Wan was trained with. Immutable, so safe to share between threads.
/// </summary>
/// <remarks>
/// The steps: added tokens (<c>&lt;pad&gt; &lt;/s&gt; &lt;s&gt; &lt;unk&gt; &lt;extra_id_0…299&gt;</c>) are cut out; what lies
/// between is normalised by the model's character map (umT5's own is <c>identity</c>: it has none), runs of spaces become one
/// ▁, a ▁ is put before the first word, and each ▁word is segmented on its own; then comes the end of sequence. There is no
/// byte fallback: what the vocabulary lacks is the unknown token, one for a run.
/// <para>
/// Normalising goes through Microsoft.ML.Tokenizers (<see cref="CharacterMap"/>); the rest is our own, because the library's
/// differs from Hugging Face. It does not give a piece's score and finds no byte or control pieces in a text, where
/// <c>&lt;0x41&gt;</c> is one id. With its segmentation, and every workaround around it, 58 of the 70 goldens pass, hence our
/// Viterbi (<see cref="UnigramSegmenter"/>). Its vocabulary lacks those pieces too (776 of the goldens' 1,032 are left) and takes
/// 1.5 s to load at 256,000 pieces, where ours takes 0.3 s, hence our reading of pieces and scores
/// (<see cref="SentencePieceModel"/>) and the special ids by their names in it, as Hugging Face finds them.
/// </para>
/// </remarks>
public sealed class UmT5Tokenizer
{
    private const int SentinelCount = 300;
    private const char WordMark = '▁';

    private readonly CharacterMap _characterMap;
    private readonly UnigramSegmenter _segmenter;
    private readonly Dictionary<string, int> _addedTokens;
    private readonly Regex _addedTokenPattern;

    private UmT5Tokenizer(SentencePieceModel model, string path)
    {
        int unknown = IdOf("<unk>");
        PadId = IdOf("<pad>");
        EndOfSequenceId = IdOf("</s>");
        VocabularySize = model.Pieces.Count + SentinelCount;

        _characterMap = new CharacterMap(model, path);
        _segmenter = new UnigramSegmenter(model.Pieces, unknown);
        _addedTokens = new() { ["<pad>"] = PadId, ["</s>"] = EndOfSequenceId, ["<s>"] = IdOf("<s>"), ["<unk>"] = unknown };
        for (int i = 0; i < SentinelCount; i++)
        {
            // After the vocabulary, counting down: <extra_id_0> is the last id.
            _addedTokens[$"<extra_id_{i}>"] = VocabularySize - 1 - i;
        }

        _addedTokenPattern = new Regex(string.Join('|', _addedTokens.Keys.Select(Regex.Escape)));

        int IdOf(string piece)
        {
            int id = model.IdOf(piece);
            return id >= 0 ? id : throw new NablaGenException($"{path}: the vocabulary has no piece {piece}; expected umT5's spiece.model.");
        }
    }

    /// <summary>The number of ids: the model's pieces and 300 sentinels. Every id is below it.</summary>
    public int VocabularySize { get; }

    /// <summary>The id that pads a text to its fixed length; 0 in umT5.</summary>
    public int PadId { get; }

    /// <summary>The id that ends every text; 1 in umT5.</summary>
    public int EndOfSequenceId { get; }

    /// <summary>Reads a vocabulary.</summary>
    /// <param name="path">A SentencePiece Unigram model, umT5's <c>spiece.model</c>.</param>
    /// <exception cref="NablaGenException">
    /// The file is missing, unreadable, truncated, not a SentencePiece model, not Unigram, or not one of umT5's kind.
    /// </exception>
    public static UmT5Tokenizer Load(string path) => Of(SentencePieceModel.Read(path), path);

    /// <summary>The tokenizer of a vocabulary that was read.</summary>
    /// <param name="model">The vocabulary.</param>
    /// <param name="path">The file it is from, for messages.</param>
    /// <exception cref="NablaGenException">It is not Unigram, or not one of umT5's kind.</exception>
    internal static UmT5Tokenizer Of(SentencePieceModel model, string path)
    {
        return model.Type == SentencePieceModel.Unigram
            ? new UmT5Tokenizer(model, path)
            : throw new NablaGenException($"{path}: model type is {model.TypeName}, expected Unigram (umT5's spiece.model).");
    }

    /// <summary>
    /// Cleans and encodes a prompt, cuts it to <paramref name="maxLength"/> ids, the end of sequence included, and pads it.
    /// Port of <c>HuggingfaceTokenizer</c> with <c>clean='whitespace'</c>, wan/modules/tokenizers.py.
    /// </summary>
    /// <param name="prompt">Any text; it goes through <see cref="PromptCleaner"/>.</param>
    /// <param name="maxLength">How many ids come back, at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maxLength"/> is less than 1.</exception>
    public TokenizedText Tokenize(string prompt, int maxLength = 512)
    {
        int[] ids = Encode(PromptCleaner.Clean(prompt), maxLength);
        var padded = new int[maxLength];
        padded.AsSpan().Fill(PadId);
        ids.CopyTo(padded, 0);
        return new TokenizedText(padded, ids.Length);
    }

    /// <summary>Encodes a text as it stands (no cleaning, no padding): its ids, then the end of sequence.</summary>
    /// <param name="text">Text, as a rule from <see cref="PromptCleaner.Clean"/>.</param>
    /// <param name="maxLength">The most ids that come back, at least 1; a longer text is cut before the end of sequence.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maxLength"/> is less than 1.</exception>
    /// <exception cref="NablaGenException">The model's character map is damaged where this text needs it.</exception>
    public int[] Encode(string text, int maxLength = int.MaxValue)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxLength, 1);

        var ids = new List<int>();
        int position = 0;
        foreach (Match added in _addedTokenPattern.Matches(text))
        {
            EncodeWords(_characterMap.Apply(text[position..added.Index]), ids);
            ids.Add(_addedTokens[added.Value]);
            position = added.Index + added.Length;
        }

        EncodeWords(_characterMap.Apply(text[position..]), ids);

        int kept = Math.Min(ids.Count, maxLength - 1);
        return [.. ids[..kept], EndOfSequenceId];
    }

    private void EncodeWords(ReadOnlySpan<char> text, List<int> ids)
    {
        if (text.IsEmpty)
        {
            return;
        }

        var marked = new StringBuilder(text.Length + 1);
        if (text[0] is not (' ' or WordMark))
        {
            marked.Append(WordMark);
        }

        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] != ' ')
            {
                marked.Append(text[i]);
            }
            else if (i == 0 || text[i - 1] != ' ')
            {
                marked.Append(WordMark);
            }
        }

        ReadOnlySpan<char> rest = marked.ToString();
        while (!rest.IsEmpty)
        {
            int next = rest[1..].IndexOf(WordMark);
            int length = next < 0 ? rest.Length : next + 1;
            _segmenter.Segment(rest[..length], ids);
            rest = rest[length..];
        }
    }
}

/// <summary>A prompt as umT5 reads it: ids padded to a fixed length, and how many of them count.</summary>
/// <param name="Ids">Token ids, [maxLength]: the text's, then the end of sequence (1), then padding (0).</param>
/// <param name="Length">The true length, with the end of sequence: 1 to <c>Ids.Length</c>.</param>
public sealed record TokenizedText(int[] Ids, int Length)
{
    /// <summary>The attention mask, [maxLength]: 1 for the first <see cref="Length"/> ids, 0 for padding.</summary>
    public int[] ToMask()
    {
        var mask = new int[Ids.Length];
        mask.AsSpan(0, Length).Fill(1);
        return mask;
    }
}
