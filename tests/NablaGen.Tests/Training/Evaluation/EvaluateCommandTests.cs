using System.Text.Json;
using NablaGen.Tests.Cli;

namespace NablaGen.Tests.Training.Evaluation;

[Trait(Lane.Name, Lane.Commands)]
public sealed class EvaluateCommandTests : IDisposable
{
    private readonly TempFolder _folder = new();

    [Fact]
    public void A_random_model_is_measured_and_nothing_is_made_twice()
    {
        RandomModel.Save(_folder["model"], Toys.Sizes());
        string[] arguments =
        [
            "evaluate", "--model", _folder["model"], "--prompts", "3", "--seeds", "1", "--steps", "4", "--batch", "2", "--device", "cpu",
            "--output-dir", _folder["out"], "--keep-strips", "--attention",
        ];
        string[] attentions = ["nabla-0.5", "sta-1-3-3"];
        var run = NablaGenCommand.Run([.. arguments, .. attentions]);
        Assert.True(run.ExitCode == 0, run.Error);
        Assert.Contains("note: motions are measured reliably from 13 frames on, and these videos have 5", run.Error);
        Assert.Matches("^9 videos \\(3 prompts x 1 seed x 3 attentions\\); about [0-9.:]+( s)?, a rough guess; reading the model", run.Output);
        Assert.Contains("[9/9] sta-1-3-3: ", run.Output);
        Assert.Contains($"results   {Path.Combine(_folder["out"], "results.md")}", run.Output);
        foreach (var file in new[] { "results.json", "results.md", "quality-against-density.png", "rows.jsonl" })
        {
            Assert.True(File.Exists(Path.Combine(_folder["out"], file)), file);
        }

        Assert.Equal(3, Directory.GetFiles(_folder["out/strips/nabla-0.5"]).Length);
        Assert.DoesNotContain(_folder.Files, file => file.EndsWith(".partial"));

        var again = NablaGenCommand.Run([.. arguments, .. attentions, "--json"]);
        Assert.True(again.ExitCode == 0, again.Error);
        var events = again.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.Equal(["start", "end"], events.Select(one => one.GetProperty("event").GetString()));
        Assert.Equal((9, 9, "done"), (events[0].GetProperty("done").GetInt32(), events[1].GetProperty("done").GetInt32(), events[1].GetProperty("state").GetString()));

        var more = NablaGenCommand.Run([.. arguments, "nabla-0.1", "--json"]);
        Assert.True(more.ExitCode == 0, more.Error);
        var videos = more.Output.Split('\n').Where(line => line.Contains("\"video\"")).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.Equal(["nabla-0.1", "nabla-0.1", "nabla-0.1"], videos.Select(one => one.GetProperty("attention").GetString()));
        Assert.All(videos, one => Assert.InRange(one.GetProperty("ssim").GetDouble(), -1, 1));
    }

    [Fact]
    public void A_model_that_needs_a_picture_is_given_one_with_each_prompt()
    {
        RandomModel.Save(_folder["model"], Toys.Sizes().ForTask("i2v"));
        var run = NablaGenProcess.Run(
            ["evaluate", "--model", _folder["model"], "--prompts", "3", "--seeds", "1", "--steps", "2", "--device", "cpu", "--output-dir", _folder["out"], "--attention", "dense"]);
        Assert.True(run.ExitCode == 0, run.Error);
        Assert.Contains("picture", run.Output);
        Assert.Equal(3, Directory.GetFiles(_folder["out/pictures"], "*-32x32.png").Length);
        Assert.All(File.ReadLines(_folder["out/rows.jsonl"]), row => Assert.True(JsonDocument.Parse(row).RootElement.GetProperty("picture_psnr").GetDouble() > 0));
        Assert.Contains("1 held-out prompt with a picture each", File.ReadAllText(_folder["out/results.md"]));
    }

    [Theory]
    [InlineData("makes videos of text alone: --task i2v is not for it", "--task", "i2v")]
    [InlineData("prompts must be from 1 to 84, found 0", "--prompts", "0")]
    [InlineData("seeds '2-1': expected numbers and ranges", "--seeds", "2-1")]
    [InlineData("attention 'nabla-2': NABLA's threshold", "--attention", "nabla-2")]
    [InlineData("attention 'nabla-0.5' is named twice", "--attention", "nabla-0.5", "nabla-0.50")]
    [InlineData("batch must be 1 or more, found 0", "--batch", "0")]
    [InlineData("have no effect on attention 'dense'", "--attention", "dense", "--dense-steps", "1")]
    [InlineData("Unrecognized command or argument '--seed'", "--seed", "1")]
    public void Wrong_flags_are_refused_in_one_line(string line, params string[] flags)
    {
        RandomModel.Save(_folder["model"], Toys.Sizes());
        var run = NablaGenCommand.Run(["evaluate", "--model", _folder["model"], "--output-dir", _folder["out"], .. flags]);
        Assert.Equal((2, ""), (run.ExitCode, run.Output));
        Assert.Contains(line, run.Error);
        Assert.False(Directory.Exists(_folder["out"]));
    }

    public void Dispose() => _folder.Dispose();
}
