using Google.Protobuf;
using NablaGen.Files;

namespace NablaGen.Models.Wan.Text.Tokenizer;

/// <summary>
/// What a tokenizer needs of a SentencePiece model file (sentencepiece_model.proto): the pieces with their scores, which
/// Microsoft.ML.Tokenizers reads but does not give out, the kind of model, and the normaliser's settings for the library.
/// </summary>
internal sealed class SentencePieceModel
{
    /// <summary>The value of <see cref="Type"/> for a Unigram model.</summary>
    public const int Unigram = 1;

    private readonly List<SentencePiece> _pieces = [];
    private bool _hasTrainer;
    private ByteString? _normalizer;

    /// <summary>The vocabulary, by id.</summary>
    public IReadOnlyList<SentencePiece> Pieces => _pieces;

    /// <summary>The trainer's model type; <see cref="Unigram"/> if the file does not say.</summary>
    public int Type { get; private set; } = Unigram;

    /// <summary>The name of <see cref="Type"/>.</summary>
    public string TypeName => Type switch { Unigram => "Unigram", 2 => "BPE", 3 => "word", 4 => "character", _ => $"{Type}" };

    /// <summary>The normaliser's settings as the file has them, a NormalizerSpec message.</summary>
    public ByteString Normalizer => _normalizer ?? ByteString.Empty;

    /// <summary>Reads a file.</summary>
    /// <exception cref="NablaGenException">The file is missing, unreadable, truncated or not a SentencePiece model.</exception>
    public static SentencePieceModel Read(string path)
    {
        if (!File.Exists(path))
        {
            throw new NablaGenException($"{path}: no such file; expected umT5's SentencePiece vocabulary, spiece.model.");
        }

        try
        {
            using var stream = File.OpenRead(path);
            return Read(stream, path);
        }
        catch (Exception e) when (e is IOException and not InvalidProtocolBufferException or UnauthorizedAccessException)
        {
            throw new NablaGenException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Reads a model's bytes.</summary>
    /// <param name="stream">The bytes.</param>
    /// <param name="path">Where they are from, for messages.</param>
    /// <exception cref="NablaGenException">They are truncated or not a SentencePiece model.</exception>
    public static SentencePieceModel Read(Stream stream, string path)
    {
        var model = new SentencePieceModel();
        try
        {
            using var input = new CodedInputStream(stream, leaveOpen: true);
            model.ReadFields(input);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw Unfit("it is not a protocol buffer", e);
        }

        // The trainer's and the normaliser's settings come after the pieces.
        return model._pieces.Count > 0 && model._hasTrainer && model._normalizer is not null ? model : throw Unfit("it ends early");

        NablaGenException Unfit(string why, Exception? inner = null) => model._pieces.Count == 0
            ? FileKind.Error(path, "a SentencePiece model", $"{path}: not a SentencePiece model ({why}).", inner)
            : new NablaGenException($"{path}: a SentencePiece model that is truncated or damaged after {model._pieces.Count} pieces ({why}).", inner);
    }

    /// <summary>A Unigram model of pieces that another form of file holds.</summary>
    /// <param name="pieces">The vocabulary, by id; sentinels at its end (&lt;extra_id_0&gt;) and what pads it are left out.</param>
    /// <param name="characterMap">The normaliser's character map; empty for none.</param>
    public static SentencePieceModel Of(IEnumerable<SentencePiece> pieces, ReadOnlySpan<byte> characterMap)
    {
        var model = new SentencePieceModel { _hasTrainer = true };
        model._pieces.AddRange(pieces);
        while (model._pieces is [.., var last] && (last.Text.StartsWith("<extra_id_", StringComparison.Ordinal) || last.Text.StartsWith("[PAD", StringComparison.Ordinal)))
        {
            model._pieces.RemoveAt(model._pieces.Count - 1);
        }

        using var bytes = new MemoryStream();
        var output = new CodedOutputStream(bytes, leaveOpen: true);
        if (!characterMap.IsEmpty)
        {
            output.WriteTag(2, WireFormat.WireType.LengthDelimited);
            output.WriteBytes(ByteString.CopyFrom(characterMap));
        }

        output.Flush();
        model._normalizer = ByteString.CopyFrom(bytes.ToArray());
        return model;
    }

    /// <summary>The id of a piece, or -1.</summary>
    public int IdOf(string piece) => _pieces.FindIndex(p => p.Text == piece);

    private void ReadFields(CodedInputStream input)
    {
        while (input.ReadTag() is var tag and not 0)
        {
            switch (WireFormat.GetTagFieldNumber(tag))
            {
                case 1:
                    _pieces.Add(ReadPiece(Nested(input)));
                    break;
                case 2:
                    _hasTrainer = true;
                    ReadTrainer(Nested(input));
                    break;
                case 3:
                    _normalizer = input.ReadBytes();
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
        }
    }

    private static SentencePiece ReadPiece(CodedInputStream input)
    {
        string text = "";
        float score = 0;
        while (input.ReadTag() is var tag and not 0)
        {
            switch (WireFormat.GetTagFieldNumber(tag))
            {
                case 1:
                    text = input.ReadString();
                    break;
                case 2:
                    score = input.ReadFloat();
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
        }

        return new SentencePiece(text, score);
    }

    private void ReadTrainer(CodedInputStream input)
    {
        while (input.ReadTag() is var tag and not 0)
        {
            if (WireFormat.GetTagFieldNumber(tag) == 3)
            {
                Type = input.ReadEnum();
            }
            else
            {
                input.SkipLastField();
            }
        }
    }

    private static CodedInputStream Nested(CodedInputStream input) => input.ReadBytes().CreateCodedInput();
}

/// <summary>One entry of a SentencePiece vocabulary; its id is its place.</summary>
/// <param name="Text">What it stands for, ▁ for a space.</param>
/// <param name="Score">Its log probability; 0 for control, user-defined and byte pieces.</param>
internal readonly record struct SentencePiece(string Text, float Score);
