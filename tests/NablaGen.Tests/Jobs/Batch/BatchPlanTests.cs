using NablaGen.Attention;
using NablaGen.Generation;
using NablaGen.Jobs.Batch;
using NablaGen.Models.Wan.Dit;
using NablaGen.Tests.Models;

namespace NablaGen.Tests.Jobs.Batch;

public sealed class BatchPlanTests
{
    private static readonly PartialRequest Nothing = new();

    [Fact]
    public void A_rows_own_value_comes_before_the_shared_one_and_the_models()
    {
        PartialRequest a = new() { Prompt = "a", Width = 32 }, b = new() { Prompt = "b" };
        var rows = Plan(Nothing with { Steps = 7, Width = 64 }, SeedPlan.Once, a, b);
        Assert.Equal([(32, 7, 480), (64, 7, 480)], rows.Select(row => (row.Request.Width, row.Request.Steps, row.Request.Height)));
    }

    [Fact]
    public void Seeds_and_repeats_make_each_row_several_times()
    {
        PartialRequest a = new() { Prompt = "a" }, own = new() { Prompt = "b", Seed = 9 };
        Assert.Equal([1, 2, 3, 5, 9], Plan(Nothing, SeedPlan.Parse("1-3, 5"), a, own).Select(row => row.Request.Seed));
        Assert.Equal([9, 10, 11], Plan(Nothing, SeedPlan.Repeat(3), own).Select(row => row.Request.Seed));
        Assert.Equal(3, Plan(Nothing, SeedPlan.Repeat(3), a).Select(row => row.Request.Seed).Distinct().Count());
        Assert.Equal(["0001-a-s1", "0002-a-s2", "0003-b-s9"], Plan(Nothing, SeedPlan.Parse("1-2"), a, own).Select(row => row.Name));
    }

    [Fact]
    public void A_derived_seed_is_the_same_each_time_and_tells_copies_apart()
    {
        PartialRequest a = new() { Prompt = "a" }, sparse = a with { Attention = AttentionExpression.Nabla(0.5) };
        var seeds = Plan(Nothing, SeedPlan.Once, a, a, sparse).Select(row => row.Request.Seed).ToList();
        Assert.NotEqual(seeds[0], seeds[1]);
        Assert.Equal(seeds[0], seeds[2]);
        Assert.Equal(seeds[0], Plan(Nothing, SeedPlan.Once, new PartialRequest { Prompt = "new" }, a)[1].Request.Seed);
        // Another value would make every video of a batch again that was begun with an older version.
        Assert.Equal(783556279, SeedPlan.Derive("a", 0));
    }

    [Fact]
    public void What_is_shared_and_has_no_effect_on_a_row_is_left_out_there()
    {
        var shared = Nothing with { DenseSteps = 2, NegativePrompt = "bad", Attention = AttentionExpression.Nabla(0.5) };
        PartialRequest a = new() { Prompt = "a" }, b = new() { Prompt = "b", Attention = AttentionExpression.Dense, Guidance = 1 };
        var rows = Plan(shared, SeedPlan.Once, a, b);
        Assert.Equal([2, 0], rows.Select(row => row.Request.DenseSteps));
        Assert.Equal("bad", rows[0].Request.NegativePrompt);
    }

    [Fact]
    public void What_has_no_effect_at_all_is_an_error()
    {
        PartialRequest a = new() { Prompt = "a" };
        Assert.Contains("--dense-steps", Error(Nothing with { DenseSteps = 2 }, SeedPlan.Once, a));
        Assert.Contains("--negative-prompt", Error(Nothing with { NegativePrompt = "x", Guidance = 1 }, SeedPlan.Once, a));
        Assert.Contains("--target-density has no", Error(Nothing with { TargetDensity = 0.2 }, SeedPlan.Once, a with { Attention = AttentionExpression.Dense }));
        Assert.Contains("--seeds has no effect", Error(Nothing, SeedPlan.Parse("1"), a with { Seed = 3 }));
        Assert.StartsWith("p:1: --dense-steps", Error(Nothing, SeedPlan.Once, a with { DenseSteps = 2 }));
    }

    [Fact]
    public void Every_bad_row_is_named()
    {
        PartialRequest a = new() { Prompt = "a" }, b = new() { Prompt = "b", Width = 100 }, c = new() { Prompt = "c", Seed = -1 };
        Assert.Equal("p:2: width must be a multiple of 16, such as 96, found 100 (also wrong: p:3)", Error(Nothing, SeedPlan.Repeat(2), a, b, c));
    }

    [Theory]
    [InlineData("")]
    [InlineData("1-")]
    [InlineData("4-1")]
    [InlineData("-3")]
    [InlineData("1,,2")]
    [InlineData("1,1")]
    [InlineData("0-9999999999")]
    public void A_bad_list_of_seeds_is_refused(string text) =>
        Assert.StartsWith($"seeds '{text}': ", Assert.Throws<InvalidRequestException>(() => SeedPlan.Parse(text)).Message);

    private static string Error(PartialRequest shared, SeedPlan seeds, params PartialRequest[] rows) =>
        Assert.Throws<InvalidRequestException>(() => Plan(shared, seeds, rows)).Message;

    [Fact]
    public void Ranges_at_the_end_of_the_numbers_come_to_an_end()
    {
        const long Last = long.MaxValue;
        Assert.Equal([Last], SeedPlan.Parse($"{Last}").Seeds!);
        Assert.Equal([Last - 1, Last], SeedPlan.Parse($"{Last - 1}-{Last}").Seeds!);
        Assert.Contains("more than", Assert.Throws<InvalidRequestException>(() => SeedPlan.Parse($"0-{Last}")).Message);
        var row = new PartialRequest { Prompt = "a", Seed = Last };
        Assert.Equal([Last], Plan(Nothing, SeedPlan.Once, row).Select(planned => planned.Request.Seed));
        Assert.Contains("go past the largest", Error(Nothing, SeedPlan.Repeat(2), row));
    }

    [Fact]
    public void An_absurd_number_of_videos_is_refused()
    {
        var rows = Enumerable.Range(0, 11).Select(i => new PartialRequest { Prompt = $"{i}" }).ToArray();
        Assert.Contains("1099989 videos, more than 1000000", Error(Nothing, SeedPlan.Parse("1-99999"), rows));
    }

    private static IReadOnlyList<BatchRow> Plan(PartialRequest shared, SeedPlan seeds, params PartialRequest[] rows) => BatchPlan.Make(
        [.. rows.Select((row, i) => new PromptRow($"p:{i + 1}", row))], shared, seeds, NoWeights.Of(DitConfig.Wan1_3B));
}
