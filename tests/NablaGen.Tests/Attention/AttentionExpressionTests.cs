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
    [InlineData("nabla-0.7+top8", 0.7, 8, false)]
    [InlineData("nabla-0.6+top2_sta-11-3-5", 0.6, 2, true)]
    [InlineData("nabla-0.6_sta-11-3-5", 0.6, null, true)]
    public void A_floor_reads_and_writes(string text, double threshold, int? top, bool window)
    {
        var expression = AttentionExpression.Parse(text);
        Assert.Equal((threshold, top, window), (expression.Threshold!.Value, expression.Top, expression.Window is not null));
        Assert.Equal(text, expression.ToString());
        Assert.Equal(expression, AttentionExpression.ParseRecipe(text, null));
        Assert.Equal(AttentionExpression.Parse("nabla-0.5"), (expression with { Top = null, Window = null, Threshold = 0.5 }));
    }

    [Theory]
    [InlineData("nabla-0.7+tail+top8", "nabla-0.7+top8+tail")]
    [InlineData("nabla-0.6+tail+top2_sta-11-3-5", "nabla-0.6+top2+tail_sta-11-3-5")]
    public void A_floor_and_a_tail_come_in_any_order(string text, string canonical)
    {
        Assert.Equal(AttentionExpression.Parse(canonical), AttentionExpression.Parse(text));
        Assert.Equal(canonical, AttentionExpression.Parse(text).ToString());
    }

    [Fact]
    public void A_floor_and_a_tail_go_with_a_file_too()
    {
        var heads = new HeadThresholds([[0.5, 0.6]]);
        var expression = AttentionExpression.Parse("nabla-a+b.json+top3", name => name == "a+b.json" ? heads : null);
        Assert.Equal((3, "a+b.json", "nabla-a+b.json+top3", "nabla-a+b+top3"), (expression.Top, expression.ThresholdsName, $"{expression}", expression.Name));
        Assert.Equal($"nabla-{Path.Combine("x", "a.json")}+top3", AttentionExpression.InFolder("nabla-a.json+top3", "x"));
        var tail = AttentionExpression.Parse("nabla-a.json+top3+tail_sta-1-1-3", _ => heads);
        Assert.Equal((3, true, "a.json", "nabla-a.json+top3+tail_sta-1-1-3"), (tail.Top, tail.HasTail, tail.ThresholdsName, $"{tail}"));
    }

    [Theory]
    [InlineData("nabla-0.7+tail", null)]
    [InlineData("nabla-0.7+top8+tail", 8)]
    [InlineData("nabla-0.6+tail_sta-11-3-5", null)]
    public void A_pooled_tail_reads_and_writes(string text, int? top)
    {
        var expression = AttentionExpression.Parse(text);
        Assert.Equal((true, top, text), (expression.HasTail, expression.Top, expression.ToString()));
        Assert.Equal(expression, AttentionExpression.ParseRecipe(text, null));
        Assert.NotEqual(expression, expression with { HasTail = false });
    }

    [Theory]
    [InlineData("")]
    [InlineData("nabla-0.7+top0")]
    [InlineData("nabla-0.7+top")]
    [InlineData("nabla-0.7+top99999999999")]
    [InlineData("dense+top8")]
    [InlineData("sta-3-3-3+top8")]
    [InlineData("dense+tail")]
    [InlineData("sta-3-3-3+tail")]
    [InlineData("nabla-0.5_sta-3-3-3+tail")]
    [InlineData("nabla-0.7+tail+top8+tail")]
    [InlineData("nabla-0.7+top8+tail+top8")]
    [InlineData("nabla-0.7+tail+top0")]
    [InlineData("nabla-0.7+tail+tail")]
    [InlineData("nabla-0.5_sta-3-3-3+top8")]
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
