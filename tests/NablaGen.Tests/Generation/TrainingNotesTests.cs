using System.Globalization;
using NablaGen.Attention;
using NablaGen.Generation;
using NablaGen.Models.Wan;
using NablaGen.Tests.Training;
using NablaGen.Training.World;

namespace NablaGen.Tests.Generation;

public class TrainingNotesTests
{
    private static readonly WanVideoModel Box = WanVideoModel.Open(Toys.Box);

    [Theory]
    [InlineData("A cat plays the piano", "nablagen-tiny does not know \"cat\", \"plays\", \"piano\"; it knows ball, square, triangle, star, ring, heart, …")]
    [InlineData("Ein roter Ball, 球, a Cat's cat", "nablagen-tiny does not know \"ein\", \"roter\", \"球\", \"cat's\", \"cat\"; it knows ball,")]
    [InlineData("A red bal bounced", "nablagen-tiny does not know \"bal\", \"bounced\"; it knows ball,")]
    [InlineData("3 blue stars, 100% round", "nablagen-tiny does not know \"3\", \"100\"; it knows ball,")]
    [InlineData("🔴 ⚽️", "nablagen-tiny does not know \"🔴\", \"⚽\"; it knows ball,")]
    [InlineData("一个红色的球在弹跳", "nablagen-tiny does not know \"一个红色的球在弹跳\"; it knows ball,")]
    [InlineData("Un ballon rouge qui rebondit", "nablagen-tiny does not know \"un\", \"ballon\", \"rouge\", \"qui\", \"rebondit\"; it knows ball,")]
    [InlineData("Красный шар", "nablagen-tiny does not know \"красный\", \"шар\"; it knows ball,")]
    [InlineData("a heart-shaped ball, no ring", "nablagen-tiny does not know \"heart-shaped\", \"no\"; it knows ball,")]
    [InlineData("the colours of a ball without a face", "nablagen-tiny does not know \"colours\", \"without\", \"face\"; it knows ball,")]
    [InlineData("q w e r t y", "nablagen-tiny does not know \"q\", \"w\", \"e\", \"r\", \"t\" and 1 more; it knows ball,")]
    public void Words_that_it_does_not_know_are_told(string prompt, string expected) =>
        Assert.StartsWith(expected, Assert.Single(Notes(new PartialRequest { Prompt = prompt })));

    [Theory]
    [InlineData("A RED ball bounces in a meadow.")]
    [InlineData("a blue-green ring, spinning; 4k (highly detailed)")]
    [InlineData("There is a ball that's moving, and it is of 3D, in 4k sunsets")]
    [InlineData("THE BALL'S LEFT!!! the stars’ right... (two hearts)")]
    [InlineData("red ball in a field\n\tball_square/ring")]
    [InlineData("Some very big red balls are bouncing through the meadows as they spin")]
    [InlineData("!!!")]
    public void Words_that_it_knows_are_not(string prompt) =>
        Assert.Empty(Notes(new PartialRequest { Prompt = prompt }));

    [Fact]
    public void Another_size_length_or_threshold_is_told_with_what_to_use()
    {
        // Whatever the model in the box was trained for.
        var trained = Box.TrainedFor!;
        var (fewest, most) = trained.Frames!.Value;
        var safe = trained.SafeThreshold!.Value;
        PartialRequest request = new() { Prompt = "a red ball" };
        Assert.Empty(Notes(request));
        Assert.All(trained.Sizes, size => Assert.Empty(Notes(request with { Width = size.Width, Height = size.Height })));
        Assert.All([fewest, most], frames => Assert.Empty(Notes(request with { Frames = frames })));
        Assert.Empty(Notes(request with { Attention = AttentionExpression.Nabla(safe) }));
        Assert.Equal(
            $"nablagen-tiny was not trained for 48x48: expect a worse video; use {string.Join(", ", trained.Sizes.Select(size => $"{size.Width}x{size.Height}"))}",
            Assert.Single(Notes(request with { Width = 48, Height = 48 })));
        Assert.Equal(
            $"nablagen-tiny was not trained for {most + 4} frames: expect a worse video; use {(fewest == most ? $"{most}" : $"{fewest} to {most}")}{(trained.Stills ? ", or 1" : "")}",
            Assert.Single(Notes(request with { Frames = most + 4 })));
        Assert.Equal(trained.Stills, Notes(request with { Frames = 1 }).Count == 0);
        Assert.Equal(
            string.Create(CultureInfo.InvariantCulture, $"nablagen-tiny loses quality below threshold {safe}, found 0.5: lower is sparser and faster"),
            Assert.Single(Notes(request with { Attention = AttentionExpression.Nabla(0.5) })));
    }

    [Theory]
    [InlineData(1536, 12, 30, 832, 480, null)]
    [InlineData(1536, 12, 30, 480, 832, null)]
    [InlineData(1536, 12, 30, 624, 624, null)]
    [InlineData(1536, 12, 30, 1280, 720, "use about as many pixels as 832x480")]
    [InlineData(5120, 40, 40, 1280, 720, null)]
    [InlineData(5120, 40, 40, 256, 256, "use about as many pixels as 832x480 or 1280x720")]
    public void Wans_models_are_for_480p_and_720p(int dim, int heads, int layers, int width, int height, string? expected)
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["config.json"], $$"""{"dim":{{dim}},"num_heads":{{heads}},"num_layers":{{layers}},"ffn_dim":8960}""");
        foreach (var file in new[] { "diffusion_pytorch_model.safetensors", "models_t5_umt5-xxl-enc-bf16.safetensors", "Wan2.1_VAE.safetensors", "google/umt5-xxl/spiece.model" })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(folder[file])!);
            File.WriteAllText(folder[file], "");
        }

        var model = WanVideoModel.Open(folder.Path);
        var request = new PartialRequest { Prompt = "any word", Width = width, Height = height }.ToRequest(GenerationDefaults.Of(model.Defaults));
        var notes = TrainingNotes.Of(request, model).ToList();
        Assert.Equal(expected is null ? 0 : 1, notes.Count);
        Assert.All(notes, note => Assert.EndsWith(expected!, note));
    }

    [Fact]
    public void The_boxs_words_are_the_worlds() => Assert.Equal(WorldWords.All(), Box.TrainedFor!.Words);

    private static List<string> Notes(PartialRequest request) => [.. TrainingNotes.Of(request.ToRequest(GenerationDefaults.Of(Box.Defaults)), Box)];
}
