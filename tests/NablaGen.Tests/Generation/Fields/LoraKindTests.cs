using System.Text.Json;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Jobs.Batch;
using NablaGen.Models;
using NablaGen.Models.Wan;
using NablaGen.Weights.Lora;

namespace NablaGen.Tests.Generation.Fields;

/// <summary>How a LoRA is written on a command line, in rows and in files.</summary>
public sealed class LoraKindTests
{
    [Theory]
    [InlineData("a.safetensors", "a.safetensors", 1)]
    [InlineData("a.safetensors:0.8", "a.safetensors", 0.8)]
    [InlineData("a.safetensors:-1e-1", "a.safetensors", -0.1)]
    [InlineData("""C:\loras\x.safetensors:0.8""", """C:\loras\x.safetensors""", 0.8)]
    [InlineData("""C:\loras\x.safetensors""", """C:\loras\x.safetensors""", 1)]
    [InlineData("C:/loras/x.safetensors", "C:/loras/x.safetensors", 1)]
    [InlineData("C:5", "C:5", 1)]
    [InlineData("folder;with semicolon/a.safetensors:2", "folder;with semicolon/a.safetensors", 2)]
    [InlineData("peft-folder:0", "peft-folder", 0)]
    public void A_command_line_names_file_and_strength(string text, string path, double strength)
    {
        var lora = Assert.Single(Read(FieldSource.CommandLine, text));
        Assert.Equal((path, strength), (lora.Path, lora.Strength));
    }

    [Theory]
    [InlineData("high:a.safetensors", "a.safetensors", 1, LoraExpert.High)]
    [InlineData("LOW:a.safetensors:0.5", "a.safetensors", 0.5, LoraExpert.Low)]
    [InlineData("""low:C:\loras\x.safetensors:2""", """C:\loras\x.safetensors""", 2, LoraExpert.Low)]
    [InlineData("highlights.safetensors", "highlights.safetensors", 1, LoraExpert.All)]
    [InlineData("./high:0.5", "./high", 0.5, LoraExpert.All)]
    public void An_expert_stands_before_the_file(string text, string path, double strength, LoraExpert expert)
    {
        var lora = Assert.Single(Read(FieldSource.CommandLine, text));
        Assert.Equal((path, strength, expert), (lora.Path, lora.Strength, lora.Expert));
        Assert.Equal(lora, Assert.Single(Read(FieldSource.CommandLine, $"{lora}")));
        Assert.NotEqual(lora, lora with { Expert = expert == LoraExpert.High ? LoraExpert.Low : LoraExpert.High });
    }

    [Theory]
    [InlineData("high:")]
    [InlineData("a.safetensors:much")]
    [InlineData("a.safetensors:NaN")]
    [InlineData("a.safetensors:1,5")]
    [InlineData("")]
    public void A_strength_is_a_number(string text) =>
        Assert.StartsWith("--lora: ", Assert.Throws<InvalidRequestException>(() => Read(FieldSource.CommandLine, text)).Message);

    [Fact]
    public void Several_are_one_after_another()
    {
        Assert.Equal(["a:0.5", "b"], Read(FieldSource.CommandLine, "a:0.5", "b").Select(lora => $"{lora}"));
        Assert.Equal(["a:0.5", "b"], Read(FieldSource.Row("x.csv:2"), "a:0.5; b").Select(lora => $"{lora}"));
        Assert.Empty(Read(FieldSource.Row("x.csv:2"), "none"));
        var rows = PromptFile.Read("""{"prompt": "x", "lora": "a.safetensors:2;b.safetensors"}"""u8.ToArray(), "a.jsonl", ".jsonl");
        Assert.Equal(["a.safetensors:2", "b.safetensors"], rows.Single().Request.Get(RequestFields.Lora)!.Select(lora => $"{lora}"));
    }

    [Fact]
    public void A_models_own_loras_lie_beside_its_file_and_a_request_may_have_none()
    {
        var json = JsonSerializer.SerializeToElement(new object[] { "own.safetensors:0.5", new { file = "second.safetensors", strength = 2 } });
        var defaults = GenerationDefaults.Of(new ModelDefaults([KeyValuePair.Create("lora", json)], Path.Combine("models", "x", "nablagen.json")).Over(WanDefaults.Values));
        var request = new PartialRequest { Prompt = "x" };
        Assert.Equal(
            [Path.Combine("models", "x", "own.safetensors") + ":0.5", Path.Combine("models", "x", "second.safetensors") + ":2"],
            request.ToRequest(defaults).Loras.Select(lora => $"{lora}"));
        Assert.Empty(request.With(RequestFields.Lora, LoraList.Empty).ToRequest(defaults).Loras);
        foreach (var bad in new object[] { new { name = "a" }, new { file = "a", sha256 = "0" }, 5, new { file = "a", strength = "x" }, new { file = "a", expert = "middle" } })
        {
            var wrong = new ModelDefaults([KeyValuePair.Create("lora", JsonSerializer.SerializeToElement(new[] { bad }))], "nablagen.json");
            Assert.StartsWith("nablagen.json: \"defaults.lora\": ", Assert.Throws<NablaGenException>(() => GenerationDefaults.Of(wrong.Over(WanDefaults.Values))).Message);
        }
    }

    private static LoraList Read(FieldSource source, params string[] texts) =>
        RequestFields.Table.Read(texts.Select(text => KeyValuePair.Create((RequestField)RequestFields.Lora, text)), source).Get(RequestFields.Lora)!;
}
