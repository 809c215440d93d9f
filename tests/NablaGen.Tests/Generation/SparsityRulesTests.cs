using NablaGen.Attention;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Models;
using NablaGen.Tests.Training;

namespace NablaGen.Tests.Generation;

public class SparsityRulesTests
{
    [Theory]
    [InlineData("nabla-0.7", 50, null, 5)]
    [InlineData("nabla-0.7+tail", 16, null, 2)]
    [InlineData("nabla-0.7_sta-3-3-3", 50, null, 5)]
    [InlineData("nabla-0.7", 2, null, 0)]
    [InlineData("nabla-0.7", 50, 0.1, 2)]
    [InlineData("sta-3-3-3", 50, null, 12)]
    [InlineData("dense", 50, null, 0)]
    public void Dense_steps_are_automatic_for_weights_that_were_not_trained_sparse(string attention, int steps, double? target, int expected)
    {
        var said = Said(attention) with { Steps = steps, TargetDensity = target };
        Assert.Equal((expected, 0), Dense(said.ToRequest(GenerationDefaults.Wan)));
        if (attention != "dense")
        {
            // A preset's number gives way to auto.
            var over = (said with { DenseSteps = AutoKind.Auto, DenseLayers = AutoKind.Auto }).Over(Said(attention) with { DenseSteps = 7, DenseLayers = 2 }, GenerationDefaults.Wan);
            Assert.Equal((expected, 0), Dense(over.ToRequest(GenerationDefaults.Wan)));
            Assert.Equal((1, 4), Dense((said with { DenseSteps = 1, DenseLayers = 4 }).ToRequest(GenerationDefaults.Wan)));
            Assert.Equal((0, 0), Dense((said with { DenseSteps = 0 }).ToRequest(GenerationDefaults.Wan)));
        }
    }

    [Fact]
    public void Weights_that_were_trained_sparse_need_none()
    {
        var box = VideoModel.Open(Toys.Box);
        Assert.True(box.IsTrainedSparse);
        Assert.Equal((0, 0), Dense(Said("nabla-0.8").ToRequest(GenerationDefaults.Of(box))));
    }

    [Fact]
    public void Auto_reads_and_writes()
    {
        var source = FieldSource.CommandLine;
        Assert.Equal(AutoKind.Auto, RequestFields.DenseSteps.Parse("auto", source));
        Assert.Equal(3, RequestFields.DenseSteps.Parse("3", source));
        Assert.Equal("auto", RequestFields.DenseLayers.Format(AutoKind.Auto));
        Assert.Throws<InvalidRequestException>(() => RequestFields.DenseSteps.Parse("-1", source));
        Assert.Throws<InvalidRequestException>(() => RequestFields.DenseSteps.Parse("some", source));
    }

    [Fact]
    public void Masks_from_a_step_make_the_steps_up_to_it_dense_and_are_in_the_recipe()
    {
        var request = Masks("nabla-0.5", 1, 4).ToRequest(GenerationDefaults.Wan);
        Assert.Equal((4, 1, 4), (request.DenseSteps, request.MaskEvery, request.MaskFromStep!.Value));
        request.Check(VideoModel.Open(Toys.Box).Transformer with { Boundary = null }, VideoModel.Open(Toys.Box).Latents);
        var recipe = Recipe.Of(request, "m", "h", "cpu", "float32");
        Assert.Contains("\"mask_from_step\":4", recipe.ToJson(), StringComparison.Ordinal);
        Assert.DoesNotContain("mask_every", recipe.ToJson(), StringComparison.Ordinal);
        var again = new PartialRequest { Values = FieldRules.FromRecipe(Recipe.Parse(recipe.ToJson(), "x").Values, RequestFields.Table) };
        Assert.Equal(request, again.ToRequest(GenerationDefaults.Wan));
        // Over the recipe: dense attention, another number of dense steps, a target.
        Assert.Null((new PartialRequest { Attention = AttentionExpression.Dense }).Over(again, GenerationDefaults.Wan).ToRequest(GenerationDefaults.Wan).MaskFromStep);
        Assert.Equal(6, (new PartialRequest { DenseSteps = 6 }).Over(again, GenerationDefaults.Wan).ToRequest(GenerationDefaults.Wan).DenseSteps);
        Assert.Null((new PartialRequest { TargetDensity = 0.3 }).Over(again, GenerationDefaults.Wan).ToRequest(GenerationDefaults.Wan).MaskFromStep);
        Assert.Equal(2, (new PartialRequest()).With(RequestFields.MaskFromStep, 2).Over(again, GenerationDefaults.Wan).ToRequest(GenerationDefaults.Wan).DenseSteps);
    }

    [Fact]
    public void A_recipes_dense_steps_are_what_they_were()
    {
        var request = (Said("nabla-0.7") with { DenseSteps = 0 }).ToRequest(GenerationDefaults.Wan);
        var again = new PartialRequest { Values = FieldRules.FromRecipe(Recipe.Of(request, "m", "h", "cpu", "float32").Values, RequestFields.Table) };
        Assert.Equal(0, again.ToRequest(GenerationDefaults.Wan).DenseSteps);
        Assert.Equal(12, (new PartialRequest { Attention = AttentionExpression.Parse("sta-3-3-3") }).Over(again, GenerationDefaults.Wan).ToRequest(GenerationDefaults.Wan).DenseSteps);
    }

    [Theory]
    [InlineData("dense", 2, null, null, null, "have no effect on attention 'dense'")]
    [InlineData("sta-3-3-3", 2, null, null, null, "have no effect on attention 'sta-3-3-3'")]
    [InlineData("sta-3-3-3", 1, 3, null, null, "have no effect on attention 'sta-3-3-3'")]
    [InlineData("nabla-0.5", 2, 3, null, null, "--mask-every has no effect")]
    [InlineData("nabla-0.5", 1, 3, 0.4, null, "--target-density")]
    [InlineData("nabla-0.5", 1, 3, null, 5, "--dense-steps says 5")]
    public void What_has_no_effect_is_refused_in_one_line(string attention, int every, int? from, double? target, int? denseSteps, string expected)
    {
        var error = Assert.Throws<InvalidRequestException>(() =>
            (Masks(attention, every, from) with { TargetDensity = target, DenseSteps = denseSteps }).ToRequest(GenerationDefaults.Wan));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void Two_transformers_are_refused()
    {
        var request = Masks("nabla-0.5", 4, null).ToRequest(GenerationDefaults.Wan);
        var box = VideoModel.Open(Toys.Box);
        request.Check(box.Transformer, box.Latents);
        Assert.Contains("two transformers", Assert.Throws<InvalidRequestException>(() => request.Check(box.Transformer with { Boundary = 0.9 }, box.Latents)).Message, StringComparison.Ordinal);
    }

    private static PartialRequest Said(string attention) => new() { Prompt = "a ball", Seed = 1, Attention = AttentionExpression.Parse(attention) };

    private static PartialRequest Masks(string attention, int every, int? from) =>
        Said(attention).With(RequestFields.MaskEvery, every).With(RequestFields.MaskFromStep, from);

    private static (int Steps, int Layers) Dense(GenerationRequest request) => (request.DenseSteps, request.DenseLayers);
}
