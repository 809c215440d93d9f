using NablaGen.Memory;

namespace NablaGen.Tests.Memory;

public class ByteSizeTests
{
    [Theory]
    [InlineData("8GB", 8_000_000_000)]
    [InlineData("7.5GiB", 8_053_063_680)]
    [InlineData("6000MiB", 6_291_456_000)]
    [InlineData("700 mb", 700_000_000)]
    public void Amounts_are_read(string text, long bytes) => Assert.Equal(bytes, ByteSize.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("8")]
    [InlineData("8G")]
    [InlineData("7,5GiB")]
    [InlineData("-1GB")]
    [InlineData("0GB")]
    [InlineData("1e3GB")]
    [InlineData("99999999999999999999GB")]
    public void Others_are_refused(string text) =>
        Assert.Contains("is not an amount of memory", Assert.Throws<InvalidRequestException>(() => ByteSize.Parse(text)).Message);

    [Fact]
    public void An_option_is_never_less_than_what_it_stands_for()
    {
        var bytes = ByteSize.Parse("6.21GiB");
        Assert.Equal("6.3GiB", ByteSize.Option(bytes));
        Assert.True(ByteSize.Parse(ByteSize.Option(bytes)) >= bytes);
        Assert.Equal("6.2 GiB", ByteSize.Text(bytes));
    }
}
