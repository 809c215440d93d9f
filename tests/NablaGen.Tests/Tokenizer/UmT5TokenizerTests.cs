using Microsoft.ML.Tokenizers;
using NablaGen.Models.Wan.Text.Tokenizer;
using static NablaGen.Tests.Tokenizer.VocabularyFile;

namespace NablaGen.Tests.Tokenizer;

public class UmT5TokenizerTests
{
    private const int Pad = 0, End = 1, Start = 2, Unknown = 3, Mark = 4;
    private const int A = 5, MarkA = 6, MarkCat = 7, Web = 8, Byte41 = 9, Pieces = 10;

    private static readonly UmT5Tokenizer Tokenizer =
        Load(Model(("a", -3), ("▁a", -3), ("▁cat", -4), ("[web]", 0), ("<0x41>", 0)));

    [Fact]
    public void A_short_text_is_padded_and_masked()
    {
        var text = Tokenizer.Tokenize(" a \t cat\n", 6);

        Assert.Equal([MarkA, MarkCat, End, Pad, Pad, Pad], text.Ids);
        Assert.Equal(3, text.Length);
        Assert.Equal([1, 1, 1, 0, 0, 0], text.ToMask());
    }

    [Theory]
    [InlineData("")]
    [InlineData(" \t\n\u3000")]
    [InlineData("\0")]
    public void An_empty_text_is_the_end_of_sequence(string prompt)
    {
        var text = Tokenizer.Tokenize(prompt);

        Assert.Equal(1, text.Length);
        Assert.Equal([End, .. Enumerable.Repeat(Pad, 511)], text.Ids);
    }

    [Fact]
    public void A_long_text_is_cut_at_511_ids_and_still_ends()
    {
        var text = Tokenizer.Tokenize(string.Concat(Enumerable.Repeat("cat a ", 300)));

        Assert.Equal(512, text.Length);
        Assert.Equal([.. Enumerable.Range(0, 511).Select(i => i % 2 == 0 ? MarkCat : MarkA), End], text.Ids);
        Assert.Equal(Enumerable.Repeat(1, 512), text.ToMask());
    }

    [Theory]
    [InlineData(1, new[] { End })]
    [InlineData(2, new[] { MarkCat, End })]
    [InlineData(3, new[] { MarkCat, MarkA, End })]
    [InlineData(4, new[] { MarkCat, MarkA, End, Pad })]
    public void Any_length_from_one_holds(int maxLength, int[] ids) => Assert.Equal(ids, Tokenizer.Tokenize("cat a", maxLength).Ids);

    [Fact]
    public void No_room_at_all_is_refused() => Assert.Throws<ArgumentOutOfRangeException>(() => Tokenizer.Tokenize("a", 0));

    [Fact]
    public void Added_tokens_are_cut_out_wherever_they_stand()
    {
        Assert.Equal([MarkCat, End, MarkCat, Pad, Start, Unknown, End], Tokenizer.Encode("cat</s>cat<pad><s><unk>"));
        Assert.Equal([Mark, End, Mark, Pad, End], Tokenizer.Encode(" </s>  <pad>"));
        Assert.Equal([Pieces + 299, MarkA, Pieces + 289, Pieces, End], Tokenizer.Encode("<extra_id_0>a<extra_id_10><extra_id_299>"));
        Assert.Equal([Mark, Unknown, A, Unknown, End], Tokenizer.Encode("<extra_id_300>"));
        Assert.Equal(Pieces + 300, Tokenizer.VocabularySize);
    }

    [Fact]
    public void Pieces_of_every_type_are_found_in_a_text() =>
        Assert.Equal([Mark, Web, Byte41, A, MarkA, Web, End], Tokenizer.Encode("[web]<0x41>a a[web]"));

    [Fact]
    public void Spaces_collapse_but_marks_do_not()
    {
        Assert.Equal([MarkA, MarkCat, End], Tokenizer.Encode("   a    cat"));
        Assert.Equal([MarkA, Mark, End], Tokenizer.Encode("a  "));
        Assert.Equal([Mark, End], Tokenizer.Encode("     "));
        Assert.Equal([Mark, MarkA, MarkA, End], Tokenizer.Encode("▁▁a▁a"));
        Assert.Equal([Mark, MarkA, End], Tokenizer.Encode(" ▁a"));
    }

    [Fact]
    public void A_run_of_unknown_characters_is_one_id()
    {
        Assert.Equal([Mark, Unknown, End], Tokenizer.Encode("\U0002123D\U0002000B\uE123\t\n"));
        Assert.Equal([Mark, Unknown, A, Unknown, Mark, Unknown, End], Tokenizer.Encode("xyazz 漢字"));
        Assert.Equal([Mark, Unknown, End], Tokenizer.Encode("\uD83D"));
        Assert.Equal([Unknown, Mark, Unknown, End], Tokenizer.Encode("<unk>x"));
    }

    [Fact]
    public void Scores_add_in_double()
    {
        // In float32 both ways come to -16777216 after a rounding; in float64 "a bc" is worse by 1.
        var tokenizer = Load(Model(("a", -16777216), ("bc", -1), ("ab", -16777215), ("c", -1), ("▁", 0)));

        Assert.Equal([9, 7, 8, End], tokenizer.Encode("abc"));
    }

    [Fact]
    public void The_first_of_equal_ways_wins()
    {
        // First found: the last piece that begins earliest.
        var tokenizer = Load(Model(("ab", -1), ("c", -2), ("a", -2), ("bc", -1)));

        Assert.Equal([Mark, 7, 8, End], tokenizer.Encode("abc"));
    }

    [Fact]
    public void Random_words_segment_as_in_Microsofts_library()
    {
        // An independent Viterbi, right where every character is a piece and only ordinary pieces occur.
        var random = new Random(7);
        var pieces = Enumerable.Range(0, 200).Select(_ => RandomWord(2, 5)).Concat("abcdef".Select(c => $"{c}")).Distinct();
        byte[] model = Model([.. pieces.Select(piece => (piece, -1 - (10 * random.NextSingle())))]);
        var tokenizer = Load(model);
        var library = SentencePieceTokenizer.Create(new MemoryStream(model), addBeginningOfSentence: false, addEndOfSentence: false);

        var words = Enumerable.Range(0, 500).Select(_ => RandomWord(1, 30)).ToList();

        Assert.All(words, word => Assert.Equal([.. library.EncodeToIds(word), End], tokenizer.Encode(word)));

        string RandomWord(int shortest, int longest) => new([.. random.GetItems<char>("abcdef", random.Next(shortest, longest + 1))]);
    }

    private static UmT5Tokenizer Load(byte[] model)
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, model);
            return UmT5Tokenizer.Load(path);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
