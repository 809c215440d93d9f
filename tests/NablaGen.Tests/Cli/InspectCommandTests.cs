using System.Text.Json;

namespace NablaGen.Tests.Cli;

[Trait(Lane.Name, Lane.Commands)]
public sealed class InspectCommandTests
{
    [Fact]
    public void Json_says_what_a_file_is()
    {
        var path = Path.Combine(GoldenFolder.Path, "checkpoints", "wan-Q4_K_M.gguf");
        var run = NablaGenCommand.Run(["inspect", path, "--json"]);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        using var json = JsonDocument.Parse(run.Output);
        var file = json.RootElement.GetProperty("files")[0];
        Assert.Equal("transformer", file.GetProperty("kind").GetString());
        Assert.InRange(file.GetProperty("formats").GetProperty("Q4_K").GetInt32(), 1, file.GetProperty("tensors").GetInt32());
        Assert.Equal(0, file.GetProperty("missing").GetArrayLength());
    }

    [Fact]
    public void A_models_memory_is_told()
    {
        using var folder = new TempFolder();
        GoldenModelFolder.Assemble(folder["model"]);
        var run = NablaGenProcess.Run(["inspect", folder["model"], "--json"]);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        using var json = JsonDocument.Parse(run.Output);
        var memory = json.RootElement.GetProperty("memory");
        Assert.Equal("64x64x5", memory.GetProperty("video").GetString());
        var transformer = json.RootElement.GetProperty("files")[0].GetProperty("parameters").GetInt64();
        Assert.InRange(memory.GetProperty("transformer").GetInt64(), 2 * transformer, 4 * transformer);
        Assert.InRange(memory.GetProperty("least").GetInt64(), 1, memory.GetProperty("with_all_layers").GetInt64());
        var card = memory.GetProperty("cards")[0];
        Assert.Equal((8L << 30, 0, true), (card.GetProperty("memory").GetInt64(), card.GetProperty("streamed_layers").GetInt32(), card.GetProperty("is_text_encoder_on_device").GetBoolean()));
        // What has all on the smallest card needs no larger one.
        Assert.Equal(1, memory.GetProperty("cards").GetArrayLength());
    }

    [Fact]
    public void A_file_that_is_none_is_an_error_of_one_line()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["bad.gguf"], "GGUF");
        var run = NablaGenCommand.Run(["inspect", folder["bad.gguf"]]);
        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.StartsWith($"nablagen: {folder["bad.gguf"]}: is not a readable GGUF file: its head is truncated", run.Error, StringComparison.Ordinal);
    }
}
