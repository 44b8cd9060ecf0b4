//! The client of the SDK: standard configuration. The SDK repeats nothing itself: what may be repeated is
//! decided in `repeat.rs`, and a conditional write never is.

use aws_config::BehaviorVersion;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Region, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient, StalledStreamProtectionConfig,
};
use peat_core::ports::ObjectError;

use super::connections::{CONNECT_TIMEOUT, http_client};
use super::failure::Place;
use super::settings::{BucketSettings, misconfigured};

/// The region that is signed for where the store has none of its own and nobody named one.
const REGION_OF_ENDPOINTS: &str = "us-east-1";

/// Where given credentials come from, in the SDK's own messages.
const PROVIDER: &str = "given";

/// Makes the client, and says where it speaks to. Reads configuration files; makes no request, unless AWS itself is meant
/// and nothing names a region: then the machine's own metadata service is asked.
pub(super) async fn connect(settings: &BucketSettings) -> Result<(Client, Place), ObjectError> {
    let http = http_client(settings.ca_bundle.as_deref())?;
    let region = region(settings, &http).await?;
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .region(region.clone())
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(keys) = &settings.keys {
        loader = loader.credentials_provider(Credentials::new(&keys.id, &keys.secret, None, None, PROVIDER));
    }
    if let Some(endpoint) = &settings.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    let standard = loader.load().await;
    let path_style = settings.path_style.unwrap_or(settings.endpoint.is_some());
    let config = aws_sdk_s3::config::Builder::from(&standard).force_path_style(path_style).build();
    let endpoint = standard.endpoint_url().map_or_else(|| format!("AWS {region}"), str::to_owned);
    let place = Place { bucket: settings.bucket.clone(), endpoint, region: region.to_string() };
    Ok((Client::from_conf(config), place))
}

/// Where the bucket is: as set, as the environment says, as the profile says.
async fn region(settings: &BucketSettings, http: &SharedHttpClient) -> Result<Region, ObjectError> {
    let mut profile = ProfileFileRegionProvider::builder();
    if let Some(name) = &settings.profile {
        profile = profile.profile_name(name);
    }
    let mut chain = RegionProviderChain::first_try(settings.region.clone().map(Region::new))
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(profile.build());
    if settings.endpoint.is_some() {
        chain = chain.or_else(Region::new(REGION_OF_ENDPOINTS));
    } else {
        // Nothing but the metadata of a cloud's machine can still know.
        let configuration =
            aws_config::provider_config::ProviderConfig::without_region().with_http_client(http.clone());
        chain =
            chain.or_else(aws_config::imds::region::ImdsRegionProvider::builder().configure(&configuration).build());
    }
    let remedy = "name the region of the bucket in the setting `region` or in AWS_REGION, or an `endpoint`";
    chain.region().await.ok_or_else(|| misconfigured("region", remedy))
}
