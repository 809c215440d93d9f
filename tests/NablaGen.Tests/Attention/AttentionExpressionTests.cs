using NablaGen.Attention;

namespace NablaGen.Tests.Attention;

public class AttentionExpressionTests
{
    [Theory]
    [InlineData("dense", null, null, 0)]
    [InlineData("nabla-0.7", 0.7, null, 0)]
    [InlineData("nabla-1", 1.0, null, 0)]
    [InlineData("sta-11-3-5", null, "11 3 5", 12)]
    [InlineData("nabla-0.6_sta-11-3-5", 0.6, "11 3 5", 0)]
    public void An_expression_reads_and_writes(string text, double? threshold, string? window, int denseSteps)
    {
        var expression = AttentionExpression.Parse(text);
        Assert.Equal(threshold, expression.Threshold);
        Assert.Equal(window, expression.Window is { } w ? $"{w.Time} {w.Height} {w.Width}" : null);
        Assert.Equal(denseSteps, expression.DefaultDenseSteps);
        Assert.Equal(text, expression.ToString());
        Assert.Equal(text == "dense", expression.IsDense);
    }

    [Theory]
    [InlineData("")]
    [InlineData("Dense")]
    [InlineData("nabla")]
    [InlineData("nabla-")]
    [InlineData("nabla-x")]
    [InlineData("nabla-0")]
    [InlineData("nabla-1.01")]
    [InlineData("nabla-0,7")]
    [InlineData("nabla--0.5")]
    [InlineData("nabla-1e-1")]
    [InlineData("sta-3-3")]
    [InlineData("sta-3-3-0")]
    [InlineData("sta-3-3-3-3")]
    [InlineData("sta-3-3-3_nabla-0.5")]
    [InlineData("nabla-0.5_nabla-0.5")]
    [InlineData("nabla-0.5_")]
    [InlineData("dense_sta-3-3-3")]
    public void Anything_else_is_refused_in_one_line(string text)
    {
        var error = Assert.Throws<InvalidRequestException>(() => AttentionExpression.Parse(text));
        Assert.Contains($"'{text}'", error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }
}
