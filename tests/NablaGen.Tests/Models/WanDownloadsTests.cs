using NablaGen.Hub;
using NablaGen.Models;
using NablaGen.Models.Wan;

namespace NablaGen.Tests.Models;

public sealed class WanDownloadsTests
{
    [Fact]
    public void Of_an_official_repository_the_weights_and_what_belongs_to_them_are_taken() => AssertNeeded(
        ["LICENSE.txt", "config.json", "diffusion_pytorch_model.safetensors.index.json", "diffusion_pytorch_model-00001-of-00002.safetensors",
            "diffusion_pytorch_model-00002-of-00002.safetensors", "models_t5_umt5-xxl-enc-bf16.pth", "Wan2.1_VAE.pth", "google/umt5-xxl/spiece.model",
            "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth"],
        ["README.md", ".gitattributes", "examples/i2v_input.JPG", "assets/logo.png", "google/umt5-xxl/tokenizer.json", "xlm-roberta-large/model.safetensors"]);

    [Fact]
    public void Of_two_forms_one_is_taken() => AssertNeeded(
        ["config.json", "diffusion_pytorch_model.safetensors", "models_t5_umt5-xxl-enc-bf16.safetensors", "Wan2.2_VAE.pth", "google/umt5-xxl/spiece.model"],
        ["models_t5_umt5-xxl-enc-bf16.pth", "diffusion_pytorch_model.safetensors.index.json"]);

    [Fact]
    public void Both_experts_are_taken() => AssertNeeded(
        ["high_noise_model/config.json", "high_noise_model/diffusion_pytorch_model.safetensors.index.json", "high_noise_model/diffusion_pytorch_model-00001-of-00001.safetensors",
            "low_noise_model/config.json", "low_noise_model/diffusion_pytorch_model.safetensors", "models_t5_umt5-xxl-enc-bf16.pth", "Wan2.1_VAE.pth",
            "google/umt5-xxl/spiece.model"],
        ["configuration.json", "nohup.out", "assets/moe_arch.png"]);

    [Fact]
    public void Of_a_Diffusers_repository_the_parts_are_taken() => AssertNeeded(
        ["model_index.json", "transformer/config.json", "transformer/diffusion_pytorch_model.safetensors.index.json", "transformer/diffusion_pytorch_model-00001-of-00001.safetensors",
            "text_encoder/config.json", "text_encoder/model.safetensors", "vae/config.json", "vae/diffusion_pytorch_model.safetensors", "tokenizer/spiece.model"],
        ["README.md", "scheduler/scheduler_config.json", "tokenizer/tokenizer.json", "transformer/diffusion_pytorch_model.fp16.bin"]);

    [Fact]
    public void A_repository_of_another_kind_is_not_guessed_at() => Assert.Null(new WanFamily().NeededFiles(["split_files/vae/wan_2.1_vae.safetensors", "README.md", "config.json"]));

    [Fact]
    public void Short_names_are_told_apart_and_name_what_a_hub_can_have()
    {
        var all = ModelFamilies.All.SelectMany(family => family.Downloads).ToList();
        Assert.Equal(all.Count, all.Select(model => model.Name).Distinct(StringComparer.OrdinalIgnoreCase).Count());
        Assert.All(all, model => Assert.All(model.Sources, source =>
        {
            Assert.True(HubPath.IsRepository(source.Repository), source.Repository);
            Assert.False(HubPath.IsRepository(model.Name));
            Assert.All(source.Files, pair =>
            {
                HubPath.Check(pair.Value, source.Repository);
                Assert.EndsWith(Path.GetFileName(pair.Value), pair.Key);
            });
        }));
    }

    [Theory]
    [InlineData("Wan-AI/Wan2.1-T2V-1.3B", true)]
    [InlineData("wan", false)]
    [InlineData("a/b/c", false)]
    [InlineData("../b", false)]
    [InlineData("a/..", false)]
    [InlineData("a/b?c", false)]
    [InlineData("a/", false)]
    public void A_repositorys_name_has_two_plain_parts(string name, bool expected) => Assert.Equal(expected, HubPath.IsRepository(name));

    private static void AssertNeeded(string[] needed, string[] others) =>
        Assert.Equal(needed.Order(StringComparer.Ordinal), new WanFamily().NeededFiles([.. others, .. needed.Reverse()])!.Order(StringComparer.Ordinal));
}
