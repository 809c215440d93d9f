using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Models.Wan;
using NablaGen.Tests.Weights;
using NablaGen.Weights;
using NablaGen.Weights.Lora;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models;

/// <summary>LoRAs for one of two experts.</summary>
public sealed class ExpertLoraTests : IDisposable
{
    private const string Experts = "family/experts-pipeline";
    private const string Changed = "blocks.0.self_attn.q.weight";

    private readonly TempFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly WanVideoModel _model;
    private readonly string _file;

    public ExpertLoraTests()
    {
        GoldenModelFolder.Assemble(_folder["model"], Experts);
        _model = WanVideoModel.Open(_folder["model"]);
        SafetensorsWriter.Write(_file = _folder["style.safetensors"], Factors(0));
    }

    [Theory]
    [InlineData(LoraExpert.All, true, true)]
    [InlineData(LoraExpert.High, true, false)]
    [InlineData(LoraExpert.Low, false, true)]
    public void Only_the_expert_that_is_named_changes(LoraExpert expert, bool high, bool low)
    {
        var with = (WanVideoModel)_model.WithLoras([new LoraChoice(_file) { Expert = expert }]);
        Assert.Equal((high, low), (Differs(with, 1), Differs(with, 0)));

        bool Differs(WanVideoModel other, int transformer)
        {
            using var source = other.OpenTransformers()[transformer]();
            using var own = _model.OpenTransformers()[transformer]();
            return !source.Read(Changed).to_type(ScalarType.Float32).Equals(own.Read(Changed).to_type(ScalarType.Float32));
        }
    }

    [Fact]
    public void A_lora_for_the_high_noise_expert_alone_is_checked_too()
    {
        SafetensorsWriter.Write(_folder["bad.safetensors"], Factors(99));
        RawFile.Fault(() => _model.CheckLoras([new LoraChoice(_folder["bad.safetensors"]) { Expert = LoraExpert.High }]), "blocks.99.self_attn.q");
        Assert.Empty(_model.CheckLoras([new LoraChoice(_file) { Expert = LoraExpert.High }]));
    }

    [Fact]
    public void A_model_of_one_transformer_takes_none()
    {
        GoldenModelFolder.Assemble(_folder["one"]);
        RawFile.Fault(() => WanVideoModel.Open(_folder["one"]).CheckLoras([new LoraChoice(_file) { Expert = LoraExpert.Low }]), $"low:{_file}", "has one transformer, not two experts");
    }

    [Fact]
    public void The_recipe_says_which_expert()
    {
        using var pipeline = new TextToVideo(_model, CPU, ScalarType.Float32);
        var request = new PartialRequest { Prompt = "x", Seed = 1 }.With(RequestFields.Lora, new LoraList(new LoraChoice(_file, 0.5) { Expert = LoraExpert.High })).ToRequest(pipeline.Defaults);
        var json = pipeline.RecipeOf(request).ToJson();
        Assert.Contains("\"expert\": \"high\"", json.Replace("\":\"", "\": \"", StringComparison.Ordinal), StringComparison.Ordinal);
        File.WriteAllText(_folder["recipe.json"], json);
        Assert.Equal(LoraExpert.High, Assert.Single(PartialRequest.Of(RecipeFile.Read(_folder["recipe.json"])).Get(RequestFields.Lora)!).Expert);
    }

    private static KeyValuePair<string, Tensor>[] Factors(int layer) =>
        [KeyValuePair.Create($"blocks.{layer}.self_attn.q.lora_A.weight", ones(2, 128)), KeyValuePair.Create($"blocks.{layer}.self_attn.q.lora_B.weight", ones(128, 2))];

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }
}
