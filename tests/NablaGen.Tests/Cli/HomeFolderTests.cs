using NablaGen.Cli;

namespace NablaGen.Tests.Cli;

public class HomeFolderTests
{
    private static readonly string Home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);

    [Theory]
    [InlineData("--model=~/no such/x", "--model=HOME/no such/x")]
    [InlineData("~/no such/x", "HOME/no such/x")]
    [InlineData(@"--lora=~\no such\x", @"--lora=HOME\no such\x")]
    [InlineData("~", "~")]
    [InlineData("--model=~", "--model=~")]
    [InlineData("a~/x", "a~/x")]
    [InlineData("--prompt=~/ a wave", "--prompt=~/ a wave")]
    [InlineData("-m~/x", "-m~/x")]
    public void A_path_begins_in_the_users_folder(string argument, string expected)
    {
        Assert.SkipWhen(Home.Length == 0, "there is no user's folder");
        Assert.Equal(["generate", expected.Replace("HOME", Home)], HomeFolder.Expand(["generate", argument]));
    }

    [Theory]
    [InlineData("--prompt")]
    [InlineData("-p")]
    [InlineData("--negative-prompt")]
    public void A_prompt_is_no_path(string option) => Assert.Equal([option, "~/ ~/"], HomeFolder.Expand([option, "~/ ~/"]));
}
