using System.Text;

namespace NablaGen.Tests.Tokenizer;

/// <summary>SentencePiece models by hand: protocol buffer fields, their lengths under 128 bytes.</summary>
internal static class VocabularyFile
{
    public const byte Unigram = 1;
    public const byte Bpe = 2;

    /// <summary>The pieces every vocabulary of umT5's kind has, in its order: ids 0 to 4.</summary>
    public static readonly string[] Special = ["<pad>", "</s>", "<s>", "<unk>", "▁"];

    public static byte[] Identity => Normalizer("identity", []);

    /// <summary>A whole Unigram model: the special pieces (score 0, but ▁ -2), then these from id 5 on.</summary>
    public static byte[] Model(params (string Text, float Score)[] pieces) =>
    [
        .. Pieces(Special[..4]), .. Piece("▁", -2),
        .. pieces.SelectMany(piece => Piece(piece.Text, piece.Score)),
        .. Trainer(Unigram), .. Identity,
    ];

    public static byte[] Pieces(IEnumerable<string> pieces) => [.. pieces.SelectMany(piece => Piece(piece, 0))];

    public static byte[] Piece(string text, float score) =>
        Field(1, [.. Field(1, Encoding.UTF8.GetBytes(text)), (2 << 3) | 5, .. BitConverter.GetBytes(score)]);

    public static byte[] Trainer(byte modelType) => Field(2, [3 << 3, modelType]);

    public static byte[] Normalizer(string name, byte[] characterMap) =>
        Field(3, [.. Field(1, Encoding.UTF8.GetBytes(name)), .. Field(2, characterMap)]);

    private static byte[] Field(int number, byte[] content) => [(byte)((number << 3) | 2), (byte)content.Length, .. content];
}
