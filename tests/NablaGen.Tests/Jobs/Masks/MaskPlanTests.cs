using NablaGen.Attention;
using NablaGen.Generation;
using NablaGen.Jobs.Masks;
using NablaGen.Models.Wan;

namespace NablaGen.Tests.Jobs.Masks;

public sealed class MaskPlanTests(MaskModel model) : IClassFixture<MaskModel>
{
    [Theory]
    [InlineData("0", 0)]
    [InlineData("3,1,2,2", 1, 2, 3)]
    [InlineData("0,4-6, 9", 0, 4, 5, 6, 9)]
    public void Lists_have_numbers_and_ranges(string text, params int[] expected) => Assert.Equal(expected, MaskChoice.Parse("--masks-steps", text));

    [Theory]
    [InlineData("")]
    [InlineData("1,")]
    [InlineData("-1")]
    [InlineData("3-1")]
    [InlineData("1-2-3")]
    [InlineData("1.5")]
    [InlineData("0-99999999")]
    [InlineData("all")]
    public void Other_lists_are_refused(string text) =>
        Assert.StartsWith($"--masks-heads '{text}': expected numbers", Assert.Throws<InvalidRequestException>(() => MaskChoice.Parse("--masks-heads", text)).Message);

    [Fact]
    public void All_that_is_sparse_is_recorded_unless_something_is_chosen()
    {
        var request = Request("nabla-0.5") with { DenseSteps = 1, DenseLayers = 1 };
        var plan = MaskPlan.Of(new MaskChoice(), request, model.Model, MaskPlan.MostOnPage);
        var (layers, heads) = (model.Model.Transformer.Layers, model.Model.Transformer.Heads);
        Assert.Equal([1, 2, 3], plan.Steps);
        Assert.Equal(Enumerable.Range(1, layers - 1), plan.Layers);
        Assert.Equal(Enumerable.Range(0, heads), plan.Heads);
        Assert.False(plan.IsThinned);
        plan = MaskPlan.Of(new MaskChoice([0, 3], null, [1]), request, model.Model, MaskPlan.MostOnPage);
        Assert.Equal([0, 3], plan.Steps);
        Assert.Equal([1], plan.Heads);
    }

    [Theory]
    [InlineData("attention 'dense' looks at every block", "dense", 0, null)]
    [InlineData("the first 2 steps and 0 layers are dense, and no others are chosen", "nabla-0.5", 2, "1")]
    [InlineData("--masks-steps 4: the run has steps 0 to 3", "sta-1-1-1", 0, "4")]
    public void What_has_nothing_to_show_is_refused(string expected, string attention, int denseSteps, string? steps)
    {
        var request = Request(attention) with { DenseSteps = denseSteps };
        Assert.Contains(expected, Assert.Throws<InvalidRequestException>(() =>
            MaskPlan.Of(new MaskChoice(MaskChoice.Parse("--masks-steps", steps)), request, model.Model, 12)).Message);
    }

    [Fact]
    public void A_head_that_is_not_there_is_refused() => Assert.Contains("--masks-heads 99: a layer has heads 0 to",
        Assert.Throws<InvalidRequestException>(() => MaskPlan.Of(new MaskChoice(Heads: [0, 99]), Request("nabla-0.5"), model.Model, 12)).Message);

    [Fact]
    public void What_does_not_fit_is_thinned_evenly_and_first_where_nobody_chose()
    {
        IReadOnlyList<int>[] lists = [[.. Enumerable.Range(0, 50)], [5, 7, 9], [.. Enumerable.Range(0, 12)]];
        var thinned = MaskPlan.Thin(lists, [true, false, true], 60);
        Assert.Equal([0, 16, 32, 49], thinned[0]);
        Assert.Equal([5, 7, 9], thinned[1]);
        Assert.Equal([0, 2, 5, 8, 11], thinned[2]);
        Assert.Equal([1, 1, 1], MaskPlan.Thin(lists, [false, false, false], 1).Select(list => list.Count));
        Assert.True(MaskPlan.Of(new MaskChoice(), Request("nabla-0.5"), model.Model, 3) is { IsThinned: true, Count: <= 3 });
    }

    [Fact]
    public void Large_masks_are_few()
    {
        // 192 × 4 × 7 blocks: 3.6 MB a mask.
        var plan = MaskPlan.Of(new MaskChoice(), Request("nabla-0.5") with { Width = 832, Height = 480, Frames = 765, Steps = 50 }, model.Model, MaskPlan.MostOnPage);
        Assert.Equal((192 * 28, true), (plan.Layout.Blocks, plan.IsThinned));
        Assert.InRange((long)plan.Count * plan.RowBytes * plan.Layout.Blocks, MaskPlan.MostBytes / 2, MaskPlan.MostBytes);
    }

    internal static GenerationRequest Request(string attention) => new()
    {
        Prompt = "x",
        NegativePrompt = "",
        Attention = AttentionExpression.Parse(attention),
        Width = 160,
        Height = 144,
        Frames = 5,
        Fps = 8,
        Steps = 4,
        Solver = "unipc",
        Shift = 5,
        Guidance = 1,
        Seed = 3,
    };
}

/// <summary>The golden model, opened once.</summary>
public sealed class MaskModel : IDisposable
{
    private readonly TempFolder _folder = new();

    public MaskModel()
    {
        GoldenModelFolder.Assemble(_folder.Path);
        Model = WanVideoModel.Open(_folder.Path);
    }

    public WanVideoModel Model { get; }

    public void Dispose() => _folder.Dispose();
}
