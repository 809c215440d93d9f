using System.Reflection;
using System.Text.Json;
using NablaGen.Models.Wan.Text.Tokenizer;

namespace NablaGen.Tests.Tokenizer;

/// <summary>
/// A vocabulary that normalises (nmt_nfkc, in part). What is expected rests on SentencePiece's Python package, which trained the
/// model and segmented every ▁word, and on Hugging Face's rules for all else, worked out in Python by make_character_map.py
/// from the sources of tokenizers and transformers; Hugging Face's own packages were not at hand to run.
/// </summary>
public sealed class CharacterMapTests : IDisposable
{
    private readonly string _model = Path.GetTempFileName();

    public CharacterMapTests()
    {
        using var source = Resource("character-map.model");
        using var file = File.Create(_model);
        source.CopyTo(file);
    }

    public void Dispose() => File.Delete(_model);

    [Fact]
    public void Characters_are_replaced_as_Hugging_Face_does()
    {
        var tokenizer = UmT5Tokenizer.Load(_model);
        using var file = Resource("character-map.json");
        var rows = JsonSerializer.Deserialize<List<Row>>(file, JsonSerializerOptions.Web)!;

        Assert.NotEmpty(rows);
        Assert.All(rows, row => Assert.Equal(row.Ids, tokenizer.Encode(row.Text)));
    }

    [Fact]
    public void A_map_damaged_inside_is_one_line()
    {
        // The array's first unit, after the map's field and size, leads to all others: now out of the array.
        byte[] model = File.ReadAllBytes(_model);
        model.AsSpan(MapStart(model) + 4, 4).Fill(0x7F);
        File.WriteAllBytes(_model, model);

        string message = Assert.Throws<NablaGenException>(() => UmT5Tokenizer.Load(_model).Encode("ﬁ")).Message;

        Assert.Equal($"{_model}: the character map of this SentencePiece model is damaged.", message);
    }

    // The map follows the normaliser's name: tag, length (two bytes here), then the array's size.
    private static int MapStart(byte[] model) => model.AsSpan().LastIndexOf("user_defined"u8) + "user_defined".Length + 3;

    private static Stream Resource(string name) => Assembly.GetExecutingAssembly().GetManifestResourceStream(name)!;

    private sealed record Row(string Text, int[] Ids);
}
