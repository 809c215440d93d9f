using System.Text;
using NablaGen.Models.Wan.Text.Tokenizer;
using static NablaGen.Tests.Tokenizer.VocabularyFile;

namespace NablaGen.Tests.Tokenizer;

public sealed class UmT5TokenizerLoadTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("nablagen-tokenizer").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_missing_file_is_named()
    {
        string path = Path.Combine(_folder, "spiece.model");

        Assert.Contains("no such file", LoadError(path));
    }

    [Theory]
    [InlineData("")]
    [InlineData("not a model, just words")]
    [InlineData("{ \"model\": \"json\" }")]
    public void A_file_of_another_kind_is_refused(string content) =>
        Assert.Contains("not a SentencePiece model", LoadError(Write(Encoding.UTF8.GetBytes(content))));

    [Fact]
    public void A_file_cut_off_anywhere_is_refused()
    {
        // All that may go missing unnoticed is the tail of the last field, the normaliser's.
        byte[] model = Model(("a", -1), ("b", -1));
        int checkedLength = model.Length - Identity.Length;
        for (int length = 0; length <= checkedLength; length++)
        {
            Assert.Matches("not a SentencePiece model|truncated or damaged", LoadError(Write(model[..length])));
        }

        Assert.Contains("after 7 pieces (it ends early)", LoadError(Write(model[..checkedLength])));
    }

    [Fact]
    public void A_model_that_is_not_Unigram_is_refused() =>
        Assert.Contains("model type is BPE, expected Unigram", LoadError(Write([.. Pieces(Special), .. Trainer(Bpe), .. Identity])));

    [Fact]
    public void A_damaged_character_map_is_refused() =>
        Assert.Contains(
            "the normaliser of this SentencePiece model cannot be read",
            LoadError(Write([.. Pieces(Special), .. Trainer(Unigram), .. Normalizer("nmt_nfkc", [1, 2, 3])])));

    [Theory]
    [InlineData("<pad>")]
    [InlineData("</s>")]
    [InlineData("<s>")]
    [InlineData("<unk>")]
    public void A_vocabulary_without_a_special_piece_is_refused(string missing)
    {
        var pieces = Special.Where(piece => piece != missing);

        Assert.Contains($"has no piece {missing}", LoadError(Write([.. Pieces(pieces), .. Trainer(Unigram), .. Identity])));
    }

    [Fact]
    public void Special_ids_come_from_the_file()
    {
        string path = Write([.. Pieces(["<unk>", "<s>", "</s>", "▁", "<pad>"]), .. Trainer(Unigram), .. Identity]);
        var tokenizer = UmT5Tokenizer.Load(path);

        Assert.Equal((305, 4, 2), (tokenizer.VocabularySize, tokenizer.PadId, tokenizer.EndOfSequenceId));
        Assert.Equal([3, 0, 2, 4], tokenizer.Tokenize("x", 4).Ids);
    }

    private static string LoadError(string path)
    {
        string message = Assert.Throws<NablaGenException>(() => UmT5Tokenizer.Load(path)).Message;
        Assert.StartsWith($"{path}: ", message);
        Assert.DoesNotContain('\n', message);
        return message;
    }

    private string Write(byte[] content)
    {
        string path = Path.Combine(_folder, "test.model");
        File.WriteAllBytes(path, content);
        return path;
    }
}
