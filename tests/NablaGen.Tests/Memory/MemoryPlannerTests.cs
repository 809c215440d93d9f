using NablaGen.Memory;
using NablaGen.Models;

namespace NablaGen.Tests.Memory;

public class MemoryPlannerTests
{
    private const long MiB = 1L << 20;
    private const long Plenty = 100_000 * MiB;

    private static readonly VaeTiling Tiles = new(64, 128, 1);

    // A made-up model: everything at once takes 100 + 20 + 10 × 50 + 200 + 30 + 400 = 1,250 MiB.
    private static readonly MemoryNeeds Needs = new()
    {
        Runtime = 100 * MiB,
        TextEncoderWeights = 600 * MiB,
        TextEncoderWork = 10 * MiB,
        DitWeights = 20 * MiB,
        LayerWeights = 50 * MiB,
        Layers = 10,
        DitWork = 200 * MiB,
        VaeWeights = 30 * MiB,
        Vae = [new VaeChoice(VaeTiling.None, 400 * MiB), new VaeChoice(Tiles, 120 * MiB)],
    };

    [Fact]
    public void With_room_for_all_models_stay_together()
    {
        var plan = Plan(1300, keepLoaded: true)!;
        Assert.True(plan.KeepsBoth && plan.IsTextEncoderOnDevice);
        Assert.Equal((10, 0, "whole frames"), (plan.ResidentLayers, plan.Slots, plan.Vae.Name));
        Assert.Equal(710 * MiB, plan.Peaks[GenerationStage.EncodeText]);
        Assert.Equal((100 + 520 + 200 + 30) * MiB, plan.Peaks[GenerationStage.Sample]);
        Assert.Equal((100 + 520 + 30 + 400) * MiB, plan.Peak);
        Assert.Equal(GenerationStage.Decode, plan.LargestStage);
        Assert.Equal(0, plan.HostBytes);
    }

    [Fact]
    public void The_text_encoder_comes_beside_kept_models_only_where_there_is_room()
    {
        // 100 + 610 + 520 + 30 = 1,260 against 0.95 of each.
        Assert.True(Plan(1400, keepLoaded: true) is { KeepsBoth: true, KeepsAll: true } all && all.Peaks[GenerationStage.EncodeText] == 1260 * MiB);
        Assert.True(Plan(1300, keepLoaded: true) is { KeepsBoth: true, KeepsAll: false } both && both.Peaks[GenerationStage.EncodeText] == 710 * MiB);
    }

    [Fact]
    public void Layers_that_do_not_fit_are_shared_out_where_the_parts_fit()
    {
        // 0.95 × 700 − 100 − 20 − 200 = 345, of which two slots take 100: four whole layers, or three and ten less three parts of 12.5; halves are too much.
        MemoryPlan Shared(int parts) => MemoryPlanner.Plan(Needs with { TextEncoderWeights = 100 * MiB }, new MemoryBudget(700 * MiB, Plenty), keepLoaded: false, parts)!;

        Assert.Equal((4, 2, 1, 300 * MiB), (Shared(1).ResidentLayers, Shared(1).Slots, Shared(1).Parts, Shared(1).HostBytes));
        Assert.Equal(Shared(1).ResidentLayers, Shared(2).ResidentLayers);
        Assert.Equal((3, 2, 4, 50 * MiB), (Shared(4).ResidentLayers, Shared(4).Slots, Shared(4).Parts, Shared(4).HostBytes));
        Assert.Equal((100 + 20 + (3 * 50) + 100 + 200) * MiB + (7 * 25 * MiB / 2), Shared(4).Peaks[GenerationStage.Sample]);
        Assert.Equal((10, 1), MemoryPlanner.Plan(Needs, new MemoryBudget(900 * MiB, Plenty), keepLoaded: false, 4) is { } all ? (all.ResidentLayers, all.Parts) : default);
    }

    [Fact]
    public void Tiles_that_the_host_has_no_room_for_are_not_taken()
    {
        var needs = Needs with { Vae = [Needs.Vae[0], Needs.Vae[1] with { HostBytes = 300 * MiB }] };
        Assert.Equal(300 * MiB, MemoryPlanner.Plan(needs, new MemoryBudget(500 * MiB, 2000 * MiB), keepLoaded: false)?.Vae.HostBytes);
        Assert.Null(MemoryPlanner.Plan(needs with { Encodings = 700 * MiB }, new MemoryBudget(500 * MiB, 1000 * MiB), keepLoaded: false));
    }

    [Fact]
    public void One_video_alone_never_needs_both_at_once() => Assert.False(Plan(2000, keepLoaded: false)!.KeepsBoth);

    [Fact]
    public void The_transformer_leaves_before_the_vae_comes_where_both_are_too_much()
    {
        var plan = Plan(1000, keepLoaded: true)!;
        Assert.False(plan.KeepsBoth);
        Assert.Equal((10, VaeTiling.None), (plan.ResidentLayers, plan.Vae.Tiling));
        Assert.Equal((100 + 520 + 200) * MiB, plan.Peak);
    }

    [Fact]
    public void Then_the_vae_works_in_tiles_and_the_text_encoder_on_the_cpu()
    {
        // 100 + 30 + 400 does not fit into 0.95 × 550, nor does the transformer.
        var plan = Plan(550, keepLoaded: true)!;
        Assert.Equal((Tiles, "tiles of 128x64"), (plan.Vae.Tiling, plan.Vae.Name));
        Assert.False(plan.IsTextEncoderOnDevice);
        Assert.DoesNotContain(GenerationStage.EncodeText, plan.Peaks.Keys);
        Assert.Equal(610 * MiB, plan.HostBytes);
    }

    [Theory]
    [InlineData(870, 10, 0)]   // 0.95 × 870 = 826 holds 100 + 20 + 500 + 200
    [InlineData(860, 7, 2)]    // 817 does not, and leaves 497 for blocks: 9, two of them slots
    [InlineData(760, 6, 2)]
    [InlineData(500, 1, 2)]
    [InlineData(450, 0, 2)]
    public void As_few_blocks_as_must_are_streamed(int budget, int resident, int slots)
    {
        var plan = Plan(budget, keepLoaded: false)!;
        Assert.Equal((resident, slots), (plan.ResidentLayers, plan.Slots));
        Assert.Equal(10 - resident, plan.StreamedLayers);
        Assert.InRange(plan.Peak, 0, (long)(budget * MiB * 0.95));
    }

    [Fact]
    public void Pictures_are_encoded_in_tiles_where_whole_frames_do_not_fit()
    {
        var needs = Needs with { Pictures = [new VaeChoice(VaeTiling.None, 5000 * MiB, 40 * MiB), new VaeChoice(Tiles, 300 * MiB, 40 * MiB)] };
        Assert.Equal(VaeTiling.None, MemoryPlanner.Plan(needs, new MemoryBudget(Plenty, Plenty), false)!.Pictures!.Tiling);
        var tight = MemoryPlanner.Plan(needs, new MemoryBudget(2000 * MiB, Plenty), false)!;
        Assert.Equal((Tiles, Needs.Runtime + 300 * MiB), (tight.Pictures!.Tiling, tight.Peaks[GenerationStage.EncodeImage]));
        Assert.Null(MemoryPlanner.Plan(Needs, new MemoryBudget(2000 * MiB, Plenty), false)!.Pictures);
        // The video to encode waits in the host's memory.
        Assert.Null(MemoryPlanner.Plan(needs, new MemoryBudget(Plenty, 40 * MiB), false));
        Assert.True(MemoryPlanner.LeastBudget(needs with { Pictures = [new VaeChoice(Tiles, 3000 * MiB)] }) > 3000 * MiB);
        var both = Needs.Max(needs);
        Assert.Equal(needs.Pictures, both.Pictures);
        Assert.Equal(needs.Pictures, needs.Max(Needs).Pictures);
        Assert.Equal(6000 * MiB, needs.Max(Needs with { Pictures = [new VaeChoice(VaeTiling.None, 6000 * MiB), new VaeChoice(Tiles, MiB)] }).Pictures[0].Bytes);
    }

    [Fact]
    public void The_least_budget_fits_and_less_does_not()
    {
        var least = MemoryPlanner.LeastBudget(Needs);
        Assert.NotNull(MemoryPlanner.Plan(Needs, new MemoryBudget(least, Plenty), false));
        Assert.Null(MemoryPlanner.Plan(Needs, new MemoryBudget(least - MiB, Plenty), false));
        Assert.Equal(442, least / MiB);
    }

    [Fact]
    public void Blocks_are_not_streamed_from_memory_that_the_machine_lacks()
    {
        Assert.NotNull(MemoryPlanner.Plan(Needs, new MemoryBudget(500 * MiB, 800 * MiB), false));
        Assert.Null(MemoryPlanner.Plan(Needs, new MemoryBudget(500 * MiB, 600 * MiB), false));
    }

    [Fact]
    public void Every_budget_gives_a_plan_within_it_that_costs_no_more_than_a_smaller_one()
    {
        MemoryPlan? smaller = null;
        for (var budget = 400; budget < 2000; budget += 10)
        {
            var plan = Plan(budget, keepLoaded: true);
            if (plan is not null)
            {
                Assert.InRange(plan.Peak, 0, budget * MiB);
            }

            if (smaller is not null)
            {
                Assert.NotNull(plan);
                Assert.True(plan.ResidentLayers >= smaller.ResidentLayers && plan.Vae.Bytes >= smaller.Vae.Bytes && (plan.KeepsBoth || !smaller.KeepsBoth));
            }

            smaller = plan ?? smaller;
        }

        Assert.NotNull(smaller);
    }

    [Fact]
    public void Decoding_alone_asks_for_the_vae_only()
    {
        var needs = new MemoryNeeds { Runtime = 100 * MiB, VaeWeights = 30 * MiB, Vae = Needs.Vae };
        var plan = MemoryPlanner.Plan(needs, new MemoryBudget(300 * MiB, Plenty), false)!;
        Assert.Equal((Tiles, 0, 0, 250 * MiB), (plan.Vae.Tiling, plan.StreamedLayers, plan.Slots, plan.Peak));
        Assert.Null(MemoryPlanner.Plan(needs, new MemoryBudget(260 * MiB, Plenty), false));
    }

    [Fact]
    public void Several_videos_need_the_largest_of_each()
    {
        var other = Needs with { DitWork = 100 * MiB, Vae = [new VaeChoice(VaeTiling.None, 500 * MiB), new VaeChoice(Tiles, 100 * MiB)] };
        var both = Needs.Max(other);
        Assert.Equal((200 * MiB, 500 * MiB, 120 * MiB), (both.DitWork, both.Vae[0].Bytes, both.Vae[1].Bytes));
    }

    [Theory]
    [InlineData(870, false)]  // 826 holds the transformer alone
    [InlineData(930, true)]   // 883 holds 50 more
    public void The_prompts_keys_are_kept_where_there_is_room(int budget, bool kept)
    {
        var needs = Needs with { PromptMemory = 50 * MiB };
        var plan = MemoryPlanner.Plan(needs, new MemoryBudget(budget * MiB, Plenty), false)!;
        Assert.Equal((kept, 10), (plan.KeepsPrompt, plan.ResidentLayers));
        Assert.Equal((100 + 520 + 200 + (kept ? 50 : 0)) * MiB, plan.Peaks[GenerationStage.Sample]);
    }

    [Fact]
    public void No_layer_is_streamed_for_the_prompts_sake() =>
        Assert.False(MemoryPlanner.Plan(Needs with { PromptMemory = 50 * MiB }, new MemoryBudget(760 * MiB, Plenty), false)!.KeepsPrompt);

    private static MemoryPlan? Plan(int budget, bool keepLoaded) =>
        MemoryPlanner.Plan(Needs, new MemoryBudget(budget * MiB, Plenty), keepLoaded);
}
