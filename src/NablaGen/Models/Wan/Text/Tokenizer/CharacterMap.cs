using System.Globalization;
using System.Text;
using Google.Protobuf;
using Microsoft.ML.Tokenizers;
using NablaGen.Files;

namespace NablaGen.Models.Wan.Text.Tokenizer;

/// <summary>
/// The characters that a SentencePiece model replaces in a text before it looks for pieces (<c>nmt_nfkc</c> and its like: ﬁ
/// becomes fi, a no-break space a space). Microsoft.ML.Tokenizers reads the map and looks the characters up.
/// </summary>
/// <remarks>
/// SentencePiece, and so the library, replaces the longest match at every place. Hugging Face goes by grapheme cluster: one
/// under 6 bytes gives way as a whole to its shortest match, accents after it and all; in any other each character is looked
/// up alone. Port of <c>Precompiled::normalize</c>, Hugging Face tokenizers, normalizers/precompiled.rs.
/// <para>
/// One difference is left: what a map deletes, the library (2.0.1) keeps. <c>nmt_nfkc</c> deletes 30 control characters, which
/// <see cref="PromptCleaner"/> has taken out before, all but U+008F.
/// </para>
/// </remarks>
internal sealed class CharacterMap
{
    private const int WholeClusterBytes = 6;

    private readonly SentencePieceTokenizer _library;
    private readonly string _path;

    /// <summary>The map of a model; a model without one leaves every text as it is.</summary>
    /// <exception cref="NablaGenException">The library cannot read the model's normaliser.</exception>
    public CharacterMap(SentencePieceModel model, string path)
    {
        _path = path;
        try
        {
            _library = SentencePieceTokenizer.Create(ModelOf(model.Normalizer), addBeginningOfSentence: false, addEndOfSentence: false);
        }
        catch (Exception e) when (e is InvalidProtocolBufferException or ArgumentException or IndexOutOfRangeException)
        {
            throw new NablaGenException($"{path}: the normaliser of this SentencePiece model cannot be read: {Line.Of(e.Message, 300)}", e);
        }
    }

    /// <summary>A text with its characters replaced; spaces stay as many as the map makes them.</summary>
    /// <exception cref="NablaGenException">The map is damaged where this text needs it.</exception>
    public string Apply(string text)
    {
        var result = new StringBuilder(text.Length);
        for (int start = 0, length; start < text.Length; start += length)
        {
            length = StringInfo.GetNextTextElementLength(text, start);
            string cluster = text.Substring(start, length);
            string? whole = Encoding.UTF8.GetByteCount(cluster) < WholeClusterBytes ? ShortestMatch(cluster) : null;
            result.Append(whole ?? string.Concat(cluster.EnumerateRunes().Select(c => LongestMatches($"{c}"))));
        }

        return result.ToString();
    }

    // What the map has for the shortest beginning that it knows, or null.
    private string? ShortestMatch(string cluster)
    {
        int firstLength = char.IsSurrogatePair(cluster, 0) ? 2 : 1;
        for (int length = firstLength; length <= cluster.Length; length++)
        {
            // No shorter beginning is in the map, so the first character stands as it is unless this one is.
            string replaced = LongestMatches(cluster[..length]);
            if (replaced != cluster[..firstLength] + LongestMatches(cluster[firstLength..length]))
            {
                return replaced;
            }
        }

        return null;
    }

    // The library's normaliser alone does not use the map; what it encodes, it normalises with the map. For a few characters
    // only: it fails on a text that grows by more than double.
    private string LongestMatches(string text)
    {
        try
        {
            _library.EncodeToTokens(text, out string? normalized);
            return normalized ?? "";
        }
        catch (Exception e) when (e is ArgumentException or IndexOutOfRangeException)
        {
            throw new NablaGenException($"{_path}: the character map of this SentencePiece model is damaged.", e);
        }
    }

    // The normaliser in a model of its own: with a vocabulary of 256,000 pieces, of which nothing is used, the library takes
    // five times as long to load as all the rest. The pieces are those that a model must have, at their default ids.
    private static MemoryStream ModelOf(ByteString normalizer)
    {
        // Later fields win: no space added at the front, none removed, none turned into ▁.
        ByteString keepSpaces = ByteString.CopyFrom([.. normalizer.Span, 3 << 3, 0, 4 << 3, 0, 5 << 3, 0]);
        var model = new MemoryStream();
        var output = new CodedOutputStream(model, leaveOpen: true);
        foreach (string piece in (string[])["<unk>", "<s>", "</s>"])
        {
            var text = ByteString.CopyFromUtf8(piece);
            Write(1, ByteString.CopyFrom([(1 << 3) | 2, (byte)text.Length, .. text.Span]));
        }

        Write(2, ByteString.Empty);
        Write(3, keepSpaces);
        output.Flush();
        model.Position = 0;
        return model;

        void Write(int field, ByteString content)
        {
            output.WriteTag(field, WireFormat.WireType.LengthDelimited);
            output.WriteBytes(content);
        }
    }
}
