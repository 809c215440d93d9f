using System.Text.Json.Nodes;
using NablaGen.Files;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Models;
using NablaGen.Models.FewSteps;
using NablaGen.Tests.Weights;

namespace NablaGen.Tests.Models.FewSteps;

/// <summary>What is made for few steps is known by its name.</summary>
public sealed class FewStepTableTests : IDisposable
{
    private readonly TempFolder _folder = new();

    // Names of published files and folders, and what the facts sheet (§9.3) says of them.
    [Theory]
    [InlineData("Wan21_T2V_14B_lightx2v_cfg_step_distill_lora_rank32.safetensors", 4, 5.0, "x0")]
    [InlineData("Wan21_I2V_14B_lightx2v_cfg_step_distill_lora_rank64.safetensors", 4, 5.0, "x0")]
    [InlineData("Wan2.1-T2V-14B-StepDistill-CfgDistill", 4, 5.0, "x0")]
    [InlineData("wan2.1_i2v_720p_scaled_fp8_e4m3_lightx2v_4step.safetensors", 4, 5.0, "x0")]
    [InlineData("wan2.1_i2v_480p_nvfp4_lightx2v_4step.safetensors", 4, 1.0, "euler")]
    [InlineData("wan2.2_t2v_lightx2v_4steps_lora_v1.1_high_noise.safetensors", 4, 3.0, "x0")]
    [InlineData("Wan2.2-Lightning_T2V-A14B-4steps-lora_HIGH_fp16.safetensors", 4, 3.0, "x0")]
    [InlineData("wan2.2_t2v_A14b_high_noise_lora_rank64_lightx2v_4step_1217.safetensors", 4, 5.0, "x0")]
    [InlineData("wan2.2_i2v_A14b_high_noise_lora_rank64_lightx2v_4step_1022.safetensors", 4, 5.0, "x0")]
    [InlineData("Wan_2_2_I2V_A14B_HIGH_lightx2v_4step_lora_v1030_rank_64_bf16.safetensors", 4, 5.0, "x0")]
    [InlineData("Wan2.2-I2V-A14B-Moe-Distill-Lightx2v", 4, 5.0, "x0")]
    [InlineData("Wan2.2-I2V-A14B-4steps-lora-rank64-Seko-V1", 4, 3.0, "x0")]
    [InlineData("SFWan2.2-I2V-A14B-Preview-Diffusers", 4, 12.0, "x0")]
    [InlineData("Wan21_CausVid_bidirect2_T2V_1_3B_lora_rank32.safetensors", 8, 2.0, null)]
    [InlineData("Wan2.1_T2V_14B_FusionX_LoRA.safetensors", 8, 2.0, null)]
    [InlineData("FastWan2.1-T2V-1.3B-Diffusers", 3, 8.0, "x0")]
    [InlineData("FastWan2.2-TI2V-5B-FullAttn-Diffusers", 3, 5.0, "x0")]
    [InlineData("Wan2_2_5B_FastWanFullAttn_lora_rank_128_bf16.safetensors", 3, 3.0, "x0")]
    [InlineData("self_forcing_dmd.pt", 4, 5.0, "x0")]
    public void A_published_name_is_known(string name, int steps, double shift, string? solver)
    {
        var recipe = FewStepTable.Load(_folder["none.json"]).Find(name)!;
        var values = Preset.Read(recipe.Name, recipe.Values.Values, recipe.Values.Path!).Values;
        Assert.Equal(
            (steps, shift, 1.0, solver), (values.Get(RequestFields.Timesteps)?.Count ?? values.Steps, values.Shift, values.Guidance, values.Solver));
    }

    [Theory]
    [InlineData("wan2.1_t2v_14B_fp16.safetensors")]
    [InlineData("diffusion_pytorch_model.safetensors")]
    [InlineData("Wan2.2-T2V-A14B")]
    [InlineData("style.safetensors")]
    public void An_ordinary_name_is_not(string name) => Assert.Null(FewStepTable.Load(_folder["none.json"]).Find(name));

    [Fact]
    public void The_users_own_file_comes_first_and_is_checked()
    {
        File.WriteAllText(_folder["own.json"], """[{"name": "mine", "files": "^my_|lightx2v", "values": {"steps": 5, "guidance": 1}}]""");
        var table = FewStepTable.Load(_folder["own.json"]);
        Assert.Equal("mine", table.Find("MY_model.safetensors")!.Name);
        Assert.Equal("mine", table.Find("lightx2v")!.Name);
        Assert.Equal("CausVid, 8 steps", table.Find("causvid")!.Name);
        foreach (var (bad, why) in new[]
        {
            ("{}", "a list"), ("""[{"name": "a", "values": {}}]""", "files"), ("""[{"name": "a", "files": "(", "values": {}}]""", "regular expression"),
            ("""[{"name": "a", "files": "a", "values": {}, "x": 1}]""", "unknown key"), ("[", "not JSON"),
        })
        {
            File.WriteAllText(_folder["own.json"], bad);
            RawFile.Fault(() => FewStepTable.Load(_folder["own.json"]), _folder["own.json"], why);
        }

        Assert.Equal("there", UserConfig.Folder(name => name == UserConfig.Variable ? "there" : null));
    }

    [Fact]
    public void A_checkpoint_for_few_steps_has_their_defaults()
    {
        GoldenModelFolder.Assemble(_folder["Wan2.1-T2V-14B-StepDistill-CfgDistill"]);
        var json = Path.Combine(_folder["Wan2.1-T2V-14B-StepDistill-CfgDistill"], "nablagen.json");
        // What the folder's own file says counts more.
        Assert.Null(Request().Timesteps);
        var contents = JsonNode.Parse(File.ReadAllText(json))!;
        contents["defaults"] = new JsonObject { ["width"] = 64, ["height"] = 64 };
        File.WriteAllText(json, contents.ToJsonString());
        var request = Request();
        Assert.Equal((4, 1.0, "x0"), (request.Steps, request.Guidance, request.Solver));
        Assert.Equal([1000, 750, 500, 250], request.Timesteps!);

        GenerationRequest Request()
        {
            var model = VideoModel.Open(_folder["Wan2.1-T2V-14B-StepDistill-CfgDistill"]);
            Assert.StartsWith("lightx2v", model.FewSteps!.Name);
            return new PartialRequest { Prompt = "x" }.ToRequest(GenerationDefaults.Of(model.Defaults));
        }
    }

    public void Dispose() => _folder.Dispose();
}
