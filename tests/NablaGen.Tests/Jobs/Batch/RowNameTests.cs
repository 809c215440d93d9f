using System.Text;
using NablaGen.Jobs.Batch;

namespace NablaGen.Tests.Jobs.Batch;

public sealed class RowNameTests
{
    [Theory]
    [InlineData(7, "A red ball.", 42, "0007-a-red-ball-s42")]
    [InlineData(12345, "a/b\\c:d*e?f\"g<h>i|j\0k", 0, "12345-a-b-c-d-e-f-g-h-i-j-k-s0")]
    [InlineData(1, "  ..Ünïcode -- cafe\u0301… ", 3, "0001-ünïcode-café-s3")]
    [InlineData(1, "猫が波に乗る、夕日", 3, "0001-猫が波に乗る-夕日-s3")]
    [InlineData(1, "हिन्दी में", 3, "0001-हिन्दी-में-s3")]
    [InlineData(1, "🎈🎉", 3, "0001-s3")]
    [InlineData(1, "CON", 3, "0001-con-s3")]
    [InlineData(1, "A cat in a very long and winding sentence that goes on", 3, "0001-a-cat-in-a-very-long-and-winding-s3")]
    public void Names_are_made_of_number_words_and_seed(int number, string prompt, long seed, string expected) =>
        Assert.Equal(expected, RowName.Of(number, prompt, seed));

    [Theory]
    [InlineData("x")]
    [InlineData("長")]
    [InlineData("𠮷")]
    public void A_word_without_end_is_cut_between_letters(string letter)
    {
        var name = RowName.Of(1, string.Concat(Enumerable.Repeat(letter, 500)), long.MaxValue);
        Assert.InRange(Encoding.UTF8.GetByteCount(name), 50, 160);
        Assert.Equal(name, new UTF8Encoding(false, true).GetString(new UTF8Encoding(false, true).GetBytes(name)));
    }
}
