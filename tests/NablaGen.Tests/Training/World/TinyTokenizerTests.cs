using NablaGen.Models.Wan.Text.Tokenizer;
using NablaGen.Training.World;

namespace NablaGen.Tests.Training.World;

public sealed class TinyTokenizerTests : IDisposable
{
    private const int Unknown = 3;

    private readonly TempFolder _folder = new();
    private readonly UmT5Tokenizer _tokenizer;

    public TinyTokenizerTests()
    {
        using (var model = typeof(TinyTokenizerTests).Assembly.GetManifestResourceStream("tiny-spiece.model")!)
        using (var file = File.Create(_folder["spiece.model"]))
        {
            model.CopyTo(file);
        }

        _tokenizer = UmT5Tokenizer.Load(_folder["spiece.model"]);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void It_has_umT5s_layout()
    {
        Assert.Equal((0, 1), (_tokenizer.PadId, _tokenizer.EndOfSequenceId));
        Assert.Equal(1180, _tokenizer.VocabularySize);
        Assert.Equal([0, 2, 3, 1], _tokenizer.Encode("<pad><s><unk>"));
    }

    [Fact]
    public void Captions_need_few_ids_and_no_unknown_one()
    {
        using var world = new ShapeWorld(WorldSplit.Training, 8);
        for (int i = 0; i < 300; i++)
        {
            int[] ids = _tokenizer.Encode(world.CaptionAt(i));
            Assert.DoesNotContain(Unknown, ids);
            Assert.All(ids, id => Assert.InRange(id, 1, 879));
            Assert.InRange(ids.Length, 3, 45);
        }
    }

    [Fact]
    public void The_words_of_the_world_are_an_id_each()
    {
        string[] words =
        [
            .. Enum.GetValues<ObjectColour>().SelectMany(c => Vocabulary.Of(c)), .. Enum.GetValues<ShapeKind>().SelectMany(s => Vocabulary.Of(s)),
            .. Enum.GetValues<MotionKind>().SelectMany(m => Vocabulary.Of(m)).SelectMany(v => v.One.Split(' ')),
        ];
        Assert.All(words, word => Assert.True(_tokenizer.Encode(word).Length == 2, word));
    }

    [Theory]
    [InlineData("A Red BALL", "a red ball")]
    [InlineData("Ärger im Café", "arger im cafe")]
    public void Case_and_accents_say_nothing(string one, string other) => Assert.Equal(_tokenizer.Encode(other), _tokenizer.Encode(one));

    [Theory]
    [InlineData("красный шар")]
    [InlineData("红色的球在跳")]
    [InlineData("🚀🔥 ball")]
    [InlineData("zxqvw 42% #5 'quoted' (1+1)")]
    [InlineData("")]
    public void Any_text_gives_ids_that_the_model_has(string text)
    {
        var ids = _tokenizer.Tokenize(text, 64).Ids;
        Assert.Equal(64, ids.Length);
        Assert.All(ids, id => Assert.InRange(id, 0, 879));
    }
}
